#pragma once
// Columns of numbers packed for the store: bytes transposed by significance, then zstd. Doubles that are all exact in
// single precision (most logged values) are kept as such; whole numbers and clocks as differences. Reading bounds every
// size before it allocates. Pure functions, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

std::string packReals(const std::vector<double>& values);  // exact, NaN included
std::string packClock(const std::vector<double>& values);  // exact; small for slowly rising values
std::string packIntegers(const std::vector<int64_t>& values);

// Throw ErrorException (code Store, damaged) unless the bytes hold exactly `count` numbers.
std::vector<double> unpackReals(std::string_view bytes, size_t count);
std::vector<int64_t> unpackIntegers(std::string_view bytes, size_t count);

// Several packed columns in one blob, and back: exactly `columns` pieces.
std::string joinColumns(const std::vector<std::string>& columns);
std::vector<std::string_view> splitColumns(std::string_view bytes, size_t columns);

// Bytes of any kind (arrays of spectra). `limit` bounds what is allocated.
std::string packBytes(std::string_view bytes, int elementSize);
std::string unpackBytes(std::string_view packed, size_t expected, int elementSize);

}  // namespace rankscope
