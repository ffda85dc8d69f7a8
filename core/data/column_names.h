#pragma once
// Names that data sets give their columns, by the role they play. Internal to core/data.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rankscope {

// "#1 String" -> "1string", "gold_label" -> "goldlabel".
std::string plainColumnName(std::string_view name);
bool isKnownColumnName(std::string_view name);

struct KnownColumnNames {
  std::vector<std::pair<std::string, std::string>> pairs;  // first and second text
  std::vector<std::string> text, label, target, prompt, answer;
  std::vector<std::string> question, context, span, spanStart;  // question_answering
  std::vector<std::string> rightChoice, asked;                   // multiple_choice
};
// All in plain form, most telling first.
const KnownColumnNames& knownColumnNames();

}  // namespace rankscope
