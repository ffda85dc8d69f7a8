#pragma once
// What the workbench's method picker and `rankscope-train methods` say about each method, in one list: what it does, when to
// choose it, its formula, what becomes of it when it is merged or saved, and where it was published. English source
// texts: the GUI passes them through tr() (context "options"). Names are those of method.name; tests/arch holds that none
// is missing. W is [out, in], A is [r, in], B is [out, r]. No torch, no Qt.

#include <string_view>
#include <vector>

namespace rankscope {

enum class MethodGroup { Weights, Form, Start, Rule, FourBit, Modules, States };

struct MethodGroupText {
  MethodGroup group;
  const char* title;
  const char* help;
};
// In the picker's order.
const std::vector<MethodGroupText>& methodGroups();
const MethodGroupText& methodGroupText(MethodGroup group);

struct MethodText {
  const char* method;    // value of method.name
  MethodGroup group;
  const char* formula;   // one line
  const char* does;      // two or three sentences
  const char* choose;    // when it is the right one
  const char* avoid;     // when another is better
  const char* count;     // parameters that train
  const char* merge;     // what becomes of it in the weights
  const char* files;     // what its adapter folder is
  const char* citation;  // one line; "" for what nobody published as a method
};
// In the picker's order: by group.
const std::vector<MethodText>& methodTexts();
const MethodText* methodText(std::string_view method);  // null when there is none

}  // namespace rankscope
