#include "core/runlog/spectrum_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/config/files.h"
#include "core/config/json_text.h"

namespace rankscope {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are stored as they lie in memory");
constexpr size_t kMaxBytes = size_t{1} << 30;

using Json = nlohmann::json;

struct ArrayField {
  const char* name;
  std::vector<float> SiteSpectrum::* values;
};
constexpr ArrayField kArrays[] = {{"sigma_before", &SiteSpectrum::sigmaBefore},
                                  {"sigma_after", &SiteSpectrum::sigmaAfter},
                                  {"delta_sigma", &SiteSpectrum::deltaSigma},
                                  {"max_cos", &SiteSpectrum::maxCos},
                                  {"cos", &SiteSpectrum::cos},
                                  {"max_cos_right", &SiteSpectrum::maxCosRight},
                                  {"cos_right", &SiteSpectrum::cosRight},
                                  {"inside_share", &SiteSpectrum::insideShare}};

Error damaged(const std::filesystem::path& file, const std::string& found, const std::string& expected) {
  return {ErrorCode::BadInput, "the stored spectrum is damaged", file.filename().string(), found, expected,
          "Compute it again with `rankscope-train spectrum`."};
}

}  // namespace

int64_t SiteSpectrum::intruders(double eps, int64_t k) const {
  const auto end = maxCos.begin() + std::min<int64_t>(k, static_cast<int64_t>(maxCos.size()));
  return std::count_if(maxCos.begin(), end, [eps](float value) { return value < eps; });
}

int64_t RunSpectrum::intruders(double eps, int64_t among) const {
  int64_t total = 0;
  for (const SiteSpectrum& site : sites) total += site.intruders(eps, among);
  return total;
}

std::filesystem::path spectrumFile(const std::filesystem::path& runFolder, int64_t step) {
  return runFolder / "spectra" / fmt::format("step-{:08}.json", step);
}

Result<void> writeSpectrum(const std::filesystem::path& runFolder, const RunSpectrum& spectrum) {
  const std::filesystem::path jsonFile = spectrumFile(runFolder, spectrum.step);
  std::error_code ignored;
  std::filesystem::create_directories(jsonFile.parent_path(), ignored);  // the write below reports what went wrong

  std::string bytes;
  Json sites = Json::array();
  for (const SiteSpectrum& site : spectrum.sites) {
    Json arrays = Json::object();
    for (const ArrayField& field : kArrays) {
      const std::vector<float>& values = site.*field.values;
      arrays[field.name] = {{"offset", bytes.size()}, {"count", values.size()}};
      bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    }
    sites.push_back({{"site", site.site}, {"kind", site.kind}, {"layer", site.layer}, {"out", site.outFeatures},
                     {"in", site.inFeatures}, {"rank", site.rank}, {"relative_update", site.relativeUpdate},
                     {"effective_rank", site.effectiveRank}, {"effective_rank_before", site.effectiveRankBefore},
                     {"effective_rank_after", site.effectiveRankAfter}, {"stable_rank", site.stableRank}, {"norm_A", site.normA},
                     {"norm_B", site.normB}, {"balance_gap", site.balanceGap}, {"residual_bound", site.residualBound},
                     {"algorithm", site.algorithm}, {"cos_rows", site.cosRows}, {"cos_columns", site.cosColumns},
                     {"arrays", arrays}});
  }
  const Json document{{"version", 1}, {"step", spectrum.step}, {"k", spectrum.k}, {"seconds", spectrum.seconds},
                      {"created", spectrum.created}, {"live", spectrum.live}, {"bytes", bytes.size()}, {"sites", sites}};
  std::filesystem::path binFile = jsonFile;
  binFile.replace_extension(".bin");
  if (auto written = writeFileAtomically(binFile, bytes); !written) return written;
  return writeFileAtomically(jsonFile, document.dump(1));
}

Result<RunSpectrum> readSpectrum(const std::filesystem::path& jsonFile) {
  std::filesystem::path binFile = jsonFile;
  binFile.replace_extension(".bin");
  const auto text = readFileBounded(jsonFile, 64u << 20);
  if (!text) return text.error();
  const auto bytes = readFileBounded(binFile, kMaxBytes);
  if (!bytes) return bytes.error();
  const auto document = parseJson(*text, jsonFile.string());
  if (!document) return document.error();
  try {
    const Json& root = *document;
    if (root.at("version").get<int>() != 1)
      return damaged(jsonFile, "version " + root.at("version").dump(), "version 1");
    if (root.at("bytes").get<size_t>() != bytes->size())
      return damaged(binFile, fmt::format("{} bytes", bytes->size()), root.at("bytes").dump() + " bytes");
    RunSpectrum spectrum{root.at("step"), root.at("k"), root.at("seconds"), root.at("created"), root.value("live", false), {}};
    for (const Json& item : root.at("sites")) {
      SiteSpectrum site;
      site.site = item.at("site");
      site.kind = item.at("kind");
      site.layer = item.at("layer");
      site.outFeatures = item.at("out");
      site.inFeatures = item.at("in");
      site.rank = item.at("rank");
      site.relativeUpdate = item.at("relative_update");
      site.effectiveRank = item.at("effective_rank");
      site.effectiveRankBefore = item.value("effective_rank_before", 0.0);
      site.effectiveRankAfter = item.value("effective_rank_after", 0.0);
      site.stableRank = item.at("stable_rank");
      site.normA = item.at("norm_A");
      site.normB = item.at("norm_B");
      site.balanceGap = item.at("balance_gap");
      site.residualBound = item.at("residual_bound");
      site.algorithm = item.at("algorithm");
      site.cosRows = item.at("cos_rows");
      site.cosColumns = item.at("cos_columns");
      for (const ArrayField& field : kArrays) {
        const auto named = item.at("arrays").find(field.name);
        if (named == item.at("arrays").end()) continue;  // of an earlier version, which did not compute it
        const Json& place = *named;
        const auto offset = place.at("offset").get<size_t>();
        const auto count = place.at("count").get<size_t>();
        if (offset > bytes->size() || count > (bytes->size() - offset) / sizeof(float))
          return damaged(binFile, fmt::format("array {} at {} of {} values", field.name, offset, count),
                         fmt::format("inside {} bytes", bytes->size()));
        std::vector<float>& values = site.*field.values;
        values.resize(count);
        if (count > 0) std::memcpy(values.data(), bytes->data() + offset, count * sizeof(float));
      }
      for (const std::vector<float>* cosines : {&site.cos, &site.cosRight}) {
        if (cosines == &site.cosRight && cosines->empty()) continue;
        const auto rows = static_cast<size_t>(std::max<int64_t>(0, site.cosRows));
        if (site.cosRows < 0 || site.cosColumns < 0 ||
            (site.cosColumns > 0 && (cosines->size() / static_cast<size_t>(site.cosColumns) != rows ||
                                     cosines->size() % static_cast<size_t>(site.cosColumns) != 0)))
          return damaged(jsonFile, fmt::format("{} cosines", cosines->size()),
                         fmt::format("{} × {}", site.cosRows, site.cosColumns));
      }
      spectrum.sites.push_back(std::move(site));
    }
    return spectrum;
  } catch (const Json::exception& problem) {
    return damaged(jsonFile, problem.what(), "the fields of a spectrum of version 1");
  }
}

std::vector<std::filesystem::path> listSpectra(const std::filesystem::path& runFolder) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(runFolder / "spectra", missing))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace rankscope
