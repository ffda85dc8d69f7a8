// Writes the starter data: readable English in two domains, from one seed, the same on every machine.
//
//   places_train.txt   descriptions of places, each after a line of slots, and pages of visitors' books; for pre-training
//   places_dev.jsonl   slots with several reference descriptions each
//   reviews_train.jsonl, reviews_dev.jsonl   labelled short reviews of such places; for fine-tuning
//
// Usage: starter_data FOLDER [SEED]

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "phrases.h"

namespace {

using Json = nlohmann::ordered_json;
using starter::Words;

// SplitMix64: a few lines, the same everywhere, good enough to choose words.
class Dice {
 public:
  explicit Dice(uint64_t seed) : m_state(seed) {}
  uint64_t next() {
    uint64_t z = (m_state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  bool chance(int percent) { return below(100) < static_cast<size_t>(percent); }
  const std::string& of(const Words& words) { return words[below(words.size())]; }

 private:
  uint64_t m_state;
};

struct Place {
  std::string name, kind, serves, price, area, near, families;
};

std::string fill(std::string text, const std::vector<std::pair<std::string, std::string>>& fields) {
  for (const auto& [key, value] : fields) {
    const std::string mark = "{" + key + "}";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, mark.size(), value);
  }
  return text;
}

// "a quiet inn", "an old mill"; and the first letter of a sentence raised.
std::string tidy(std::string text) {
  for (size_t at = 0; (at = text.find("a(n) ", at)) != std::string::npos;) {
    const bool vowel = std::string("aeiouAEIOU").find(text[at + 5]) != std::string::npos;
    text.replace(at, 5, vowel ? "an " : "a ");
  }
  bool start = true;
  for (char& c : text) {
    if (start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '.' || c == '!' || c == '?' || c == '\n') start = true;
    else if (c != ' ') start = false;
  }
  return text;
}

std::string makeName(Dice& dice) {
  return "The " + dice.of(starter::kNameFirst) + " " + dice.of(starter::kNameSecond);
}

Place makePlace(Dice& dice) {
  const auto& kind = starter::kKinds[dice.below(starter::kKinds.size())];
  Place place{makeName(dice), kind.name, dice.of(kind.serves), dice.of(starter::kPrices), dice.of(starter::kAreas), "", ""};
  if (dice.chance(45)) {
    do place.near = makeName(dice);
    while (place.near == place.name);
  }
  if (dice.chance(60)) place.families = dice.chance(60) ? "yes" : "no";
  return place;
}

std::string slots(const Place& p) {
  std::string line = "name: " + p.name + " | kind: " + p.kind + " | offers: " + p.serves + " | price: " + p.price +
                     " | area: " + p.area;
  if (!p.near.empty()) line += " | near: " + p.near;
  if (!p.families.empty()) line += " | families: " + p.families;
  return line;
}

std::string describe(const Place& p, Dice& dice) {
  const std::vector<std::pair<std::string, std::string>> fields{
      {"name", p.name}, {"kind", p.kind}, {"serves", p.serves}, {"price", p.price}, {"area", p.area}, {"near", p.near}};
  std::string text = fill(dice.of(starter::kDescribeFirst), fields);
  const Words& where = p.near.empty() ? starter::kDescribeWhere : starter::kDescribeWhereNear;
  text += " " + fill(dice.of(where), fields);
  if (p.families == "yes") text += " " + fill(dice.of(starter::kFamiliesYes), fields);
  if (p.families == "no") text += " " + fill(dice.of(starter::kFamiliesNo), fields);
  return tidy(text);
}

std::string review(const Place& p, const std::string& label, const starter::Topic& topic, Dice& dice) {
  const std::vector<std::pair<std::string, std::string>> fields{
      {"name", p.name}, {"kind", p.kind}, {"serves", p.serves}, {"area", p.area}, {"day", dice.of(starter::kDays)}};
  std::string text = fill(dice.of(starter::kReviewOpening), fields);
  if (label == "positive") {
    text += " " + dice.of(topic.good);
    if (dice.chance(55)) text += " " + dice.of(starter::kGoodExtra);
    text += " " + fill(dice.of(starter::kGoodClosing), fields);
  } else if (label == "negative") {
    text += " " + dice.of(topic.bad);
    if (dice.chance(55)) text += " " + dice.of(starter::kBadExtra);
    text += " " + fill(dice.of(starter::kBadClosing), fields);
  } else {
    text += " " + dice.of(topic.good) + " " + dice.of(starter::kTurn) + " " + dice.of(starter::kBadExtra);
    text += " " + fill(dice.of(starter::kMixedClosing), fields);
  }
  return tidy(fill(text, fields));
}

// A page of a visitors' book: sentences of all moods in no order, each on its own. It gives the starter model the words of
// the reviews, but neither their form nor what an opinion has to do with them.
std::string visitorsBook(Dice& dice) {
  const Place place = makePlace(dice);
  const std::vector<std::pair<std::string, std::string>> fields{
      {"name", place.name}, {"kind", place.kind}, {"serves", place.serves}, {"area", place.area}, {"day", dice.of(starter::kDays)}};
  const std::vector<const Words*> shelves{&starter::kReviewOpening, &starter::kGoodExtra,   &starter::kBadExtra,
                                          &starter::kTurn,          &starter::kGoodClosing, &starter::kBadClosing,
                                          &starter::kMixedClosing};
  std::string text;
  for (size_t line = 3 + dice.below(3); line > 0; --line) {
    const auto& topic = starter::kTopics[dice.below(starter::kTopics.size())];
    const size_t shelf = dice.below(shelves.size() + 6);
    const Words& words = shelf < shelves.size() ? *shelves[shelf] : (shelf % 2 == 0 ? topic.good : topic.bad);
    text += "- " + tidy(fill(dice.of(words), fields)) + "\n";
  }
  return text;
}

void writeReviews(const std::filesystem::path& file, size_t count, Dice& dice, std::set<std::string>& seen) {
  std::ofstream out(file);
  const Words labels{"positive", "negative", "mixed"};
  for (size_t row = 0; row < count;) {
    const Place place = makePlace(dice);
    const std::string label = labels[row % labels.size()];
    const auto& topic = starter::kTopics[dice.below(starter::kTopics.size())];
    const std::string text = review(place, label, topic, dice);
    if (!seen.insert(text).second) continue;  // a row of the dev file never stands in the training file
    out << Json{{"place", place.name}, {"kind", place.kind}, {"topic", topic.name}, {"label", label}, {"review", text}}.dump()
        << '\n';
    ++row;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: starter_data FOLDER [SEED]\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  Dice dice(argc > 2 ? std::stoull(argv[2]) : 1);

  std::ofstream train(folder / "places_train.txt");
  for (int i = 0; i < 8000; ++i) {
    if (dice.chance(30)) {
      train << visitorsBook(dice) << '\n';
      continue;
    }
    const Place place = makePlace(dice);
    train << slots(place) << '\n' << describe(place, dice) << "\n\n";
  }
  std::ofstream dev(folder / "places_dev.jsonl");
  for (int i = 0; i < 200; ++i) {
    const Place place = makePlace(dice);
    Json references = Json::array();
    while (references.size() < 3) {
      const std::string text = describe(place, dice);
      if (std::find(references.begin(), references.end(), Json(text)) == references.end()) references.push_back(text);
    }
    dev << Json{{"slots", slots(place)}, {"text", references[0]}, {"references", references}}.dump() << '\n';
  }
  std::set<std::string> seen;
  writeReviews(folder / "reviews_train.jsonl", 2400, dice, seen);
  writeReviews(folder / "reviews_dev.jsonl", 300, dice, seen);
  return 0;
}
