#pragma once
// What is drawn for each method, as data: a row of marks, and lines around them. method_sketch.cpp knows how each mark
// looks; a new method is one more row of the list. Labels are source texts of the context "options". Any thread.

#include <QString>
#include <vector>

namespace rankscope::ui {

enum class Shape : quint8 {
  Square,      // [out, in]
  Tall,        // [out, r]
  Wide,        // [r, in]
  Small,       // [r, r]
  Diagonal,    // r numbers
  Column,      // [out]
  Sign,        // a sign of the formula, without a shape
  Layer,       // part of a block
  Bottleneck,  // narrow in the middle
  Sum,         // where streams are added
  Tokens,      // hidden states of a prompt; its ends are marked
  Rows         // keys or values; the first rows are marked
};
enum class Ink : quint8 { Frozen, Trained, Computed };
enum class Texture : quint8 {
  Plain,
  Pruned,   // the last third is gone
  Hollow,   // the leading part was taken out
  FourBits  // few levels
};

struct Mark {
  Shape shape = Shape::Sign;
  const char* label = "";
  Ink ink = Ink::Frozen;
  Texture texture = Texture::Plain;
  const char* start = "";  // above: where the first values come from
  const char* step = "";   // below: what the gradient passes on its way here
  bool beside = false;     // in a flow: below the mark before it, from the same input to the next sum
};

struct Span {
  enum Kind : quint8 { Brace, PassAbove, PassBelow };  // a brace is below
  Kind kind = Brace;
  int from = 0, to = 0;    // marks; a pass leaves the stream before `from` and joins it at the sum `to`
  const char* label = "";
};

struct MethodRecipe {
  const char* method;
  std::vector<Mark> marks;
  std::vector<Span> spans = {};
  bool flow = false;  // a stream through the marks; otherwise a formula
  int side = 84;      // of a square
};

const MethodRecipe* methodRecipe(const QString& method);  // null when there is none

}  // namespace rankscope::ui
