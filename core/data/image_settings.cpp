#include "core/data/image_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

using nlohmann::json;

constexpr const char* kFile = "preprocessor_config.json";
constexpr int64_t kMaxSide = 4096;

// Reads one key after the other; the first that is wrong is kept, and everything behind it answers with its standard.
class SettingsReader {
 public:
  SettingsReader(const json& document, std::string where) : m_document(document), m_where(std::move(where)) {}

  const json* find(const char* key) const {
    const auto found = m_document.find(key);
    return found == m_document.end() || found->is_null() ? nullptr : &*found;
  }
  bool flag(const char* key, bool standard) {
    const json* value = find(key);
    if (!value) return standard;
    if (!value->is_boolean()) refuse(key, *value, "true or false");
    return value->is_boolean() ? value->get<bool>() : standard;
  }
  double real(const char* key, double standard, double low, double high) {
    const json* value = find(key);
    if (!value) return standard;
    const bool good = value->is_number() && value->get<double>() >= low && value->get<double>() <= high;
    if (!good) refuse(key, *value, fmt::format("a number from {} to {}", low, high));
    return good ? value->get<double>() : standard;
  }
  std::string text(const char* key) const {
    const json* value = find(key);
    return value && value->is_string() ? value->get<std::string>() : std::string();
  }
  int64_t side(const char* key, const json& value) {
    const bool good = value.is_number_integer() && value.get<double>() >= 1 && value.get<double>() <= kMaxSide;
    if (!good) refuse(key, value, fmt::format("1 to {} pixels", kMaxSide));
    return good ? value.get<int64_t>() : 1;
  }
  // One number a channel, or one for all.
  std::vector<double> perChannel(const char* key, std::vector<double> standard, int64_t channels, double low) {
    const json* value = find(key);
    if (value) {
      std::vector<double> given;
      for (const json& each : value->is_array() ? *value : json::array({*value}))
        if (each.is_number() && each.get<double>() >= low && each.get<double>() <= 1e6) given.push_back(each.get<double>());
      const size_t expected = value->is_array() ? value->size() : 1;
      if (given.empty() || given.size() != expected) {
        refuse(key, *value, "numbers, one a channel");
        given = {1};
      }
      standard = std::move(given);
    }
    if (standard.size() == 1 || static_cast<int64_t>(standard.size()) != channels) {
      if (standard.size() != 1 && value) refuse(key, *value, fmt::format("{} numbers", channels));
      standard.assign(static_cast<size_t>(channels), standard.front());
    }
    return standard;
  }
  void refuse(const char* key, const json& found, std::string expected) {
    if (problem) return;
    problem = Error{ErrorCode::BadInput, fmt::format("the image processor's \"{}\" cannot be used", key), m_where,
                    shown(jsonText(found)), std::move(expected),
                    "Change the entry, or remove the file to use the network's usual settings."};
  }

  std::optional<Error> problem;

 private:
  const json& m_document;
  std::string m_where;
};

// transformers has written the size in three ways: a number, {"height", "width"}, {"shortest_edge"}.
void readSize(SettingsReader& reader, ImageSettings& settings) {
  const json* size = reader.find("size");
  const bool crops = reader.flag("do_center_crop", reader.find("crop_size") != nullptr);
  const std::string type = reader.text("image_processor_type") + reader.text("feature_extractor_type");
  // ConvNeXt's way, which ResNets are published with: below 384 pixels the middle share crop_pct of a larger image.
  const bool byShare = type.starts_with("ConvNext") || reader.find("crop_pct");
  if (size) {
    const bool object = size->is_object();
    const json edge = object ? (size->contains("shortest_edge") ? (*size)["shortest_edge"] : json()) : *size;
    if (object && size->contains("height") && size->contains("width")) {
      settings.squeeze = true;
      settings.height = reader.side("size", (*size)["height"]);
      settings.width = reader.side("size", (*size)["width"]);
    } else if (edge.is_number()) {
      const int64_t side = reader.side("size", edge);
      // Processors of the first kind took a bare number for both sides, except where a crop follows.
      settings.squeeze = !object && !crops && !byShare;
      settings.shortestEdge = settings.height = settings.width = side;
      if (byShare) {
        const double share = reader.real("crop_pct", 224.0 / 256, 0.05, 1);
        settings.squeeze = side >= 384;
        settings.shortestEdge = static_cast<int64_t>(static_cast<double>(side) / share);
      }
    } else {
      reader.refuse("size", *size, "a number, height and width, or shortest_edge");
    }
    if (settings.squeeze) settings.shortestEdge = 0;
  }
  if (!reader.flag("do_resize", true)) {
    settings.squeeze = false;
    settings.shortestEdge = 0;
  }
  if (!crops || byShare) return;
  if (const json* crop = reader.find("crop_size")) {
    const bool object = crop->is_object();
    // A squeezed image is cropped like any other.
    if (settings.squeeze) reader.refuse("crop_size", *crop, "no crop behind a size of height and width");
    settings.height = reader.side("crop_size", object && crop->contains("height") ? (*crop)["height"] : *crop);
    settings.width = reader.side("crop_size", object && crop->contains("width") ? (*crop)["width"] : *crop);
  }
}

}  // namespace

ImageSettings ImageSettings::standard(int64_t side, int64_t channels) {
  ImageSettings settings;
  settings.channels = channels;
  settings.height = settings.width = side;
  settings.squeeze = side < 128;
  settings.shortestEdge = settings.squeeze ? 0 : side * 256 / 224;
  if (channels != 3) {
    settings.mean.assign(static_cast<size_t>(channels), 0.5);
    settings.deviation.assign(static_cast<size_t>(channels), 0.5);
  }
  return settings;
}

void ImageSettings::setSide(int64_t side) {
  if (shortestEdge > 0)
    shortestEdge = std::max(side, static_cast<int64_t>(std::llround(static_cast<double>(shortestEdge) * static_cast<double>(side) /
                                                                   static_cast<double>(std::min(height, width)))));
  else
    squeeze = true;
  height = width = side;
}

Result<ImageSettings> readImageSettings(const std::filesystem::path& folder, const ImageSettings& standard) {
  const auto path = folder / kFile;
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code)) return standard;
  JsonLimits limits;
  limits.maxBytes = 1 << 20;
  Result<json> document = readJsonFile(path, limits);
  if (!document) return document.error();
  SettingsReader reader(*document, path.string());
  if (!document->is_object())
    return Error{ErrorCode::BadInput, "the image processor's settings are no object", path.string(), describeJson(*document),
                 "a JSON object", "Take the file from the model's publisher again, or remove it."};
  ImageSettings settings = standard;
  readSize(reader, settings);
  const double resample = reader.real("resample", static_cast<double>(settings.resample), 0, 5);
  settings.resample = static_cast<Resample>(static_cast<int>(resample));
  settings.rescale = reader.flag("do_rescale", true) ? reader.real("rescale_factor", 1.0 / 255, 1e-9, 1e3) : 1;
  settings.mean = reader.perChannel("image_mean", settings.mean, settings.channels, -1e6);
  settings.deviation = reader.perChannel("image_std", settings.deviation, settings.channels, 1e-6);
  if (!reader.flag("do_normalize", true)) {
    settings.mean.assign(settings.mean.size(), 0);
    settings.deviation.assign(settings.deviation.size(), 1);
  }
  if (reader.flag("do_pad", false)) reader.refuse("do_pad", true, "false");
  if (reader.problem) return *reader.problem;
  return settings;
}

json imageSettingsDocument(const ImageSettings& settings) {
  json document = {{"image_processor_type", settings.shortestEdge > 0 ? "BitImageProcessor" : "ViTImageProcessor"},
                   {"do_resize", settings.squeeze || settings.shortestEdge > 0},
                   {"resample", static_cast<int>(settings.resample)},
                   {"do_rescale", true},
                   {"rescale_factor", settings.rescale},
                   {"do_normalize", true},
                   {"image_mean", settings.mean},
                   {"image_std", settings.deviation}};
  const json both = {{"height", settings.height}, {"width", settings.width}};
  if (settings.shortestEdge > 0)
    document["size"] = {{"shortest_edge", settings.shortestEdge}};
  else
    document["size"] = both;
  if (!settings.squeeze) {
    document["do_center_crop"] = true;
    document["crop_size"] = both;
  }
  return document;
}

Result<std::vector<uint8_t>> modelPixels(Image image, const ImageSettings& settings, const std::string& where) {
  image = withChannels(std::move(image), settings.channels);
  int64_t width = image.width, height = image.height;
  if (settings.squeeze) {
    width = settings.width;
    height = settings.height;
  } else if (settings.shortestEdge > 0) {
    const int64_t shorter = std::min(width, height), longer = std::max(width, height);
    const int64_t other = settings.shortestEdge * longer / shorter;
    if (other * settings.shortestEdge > kMaxImagePixels)
      return Error{ErrorCode::BadInput, "the image is too long for its width", where,
                   fmt::format("{} × {}", image.width, image.height),
                   fmt::format("at most {} million pixels at the model's size", kMaxImagePixels / 1'000'000),
                   "Crop this image, or remove it."};
    width = image.width <= image.height ? settings.shortestEdge : other;
    height = image.width <= image.height ? other : settings.shortestEdge;
  }
  if (width != image.width || height != image.height) image = resizedImage(image, width, height, settings.resample);
  image = centreCrop(image, settings.width, settings.height);
  std::vector<uint8_t> pixels(static_cast<size_t>(settings.values()));
  const size_t plane = static_cast<size_t>(settings.height * settings.width), channels = static_cast<size_t>(settings.channels);
  for (size_t i = 0; i < plane; ++i)
    for (size_t c = 0; c < channels; ++c) pixels[c * plane + i] = image.pixels[i * channels + c];
  return pixels;
}

}  // namespace rankscope
