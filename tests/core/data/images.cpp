// Images as data: decoding and its refusals, resizing and whole image processors against Pillow's and transformers' results
// (image_cases.json), folders of classes, CIFAR and IDX files, and sets prepared for training.

#include <QBuffer>
#include <QImage>
#include <QtTest/QtTest>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "core/config/json_text.h"
#include "core/data/image_source.h"
#include "core/data/image_settings.h"
#include "core/data/prepare.h"
#include "core/data/roles.h"
#include "tests/core/data/data_files.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

// The picture of image_cases.json.
Image formulaImage(int64_t width, int64_t height) {
  Image image{width, height, 3, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        image.pixels.push_back(static_cast<uint8_t>((x * 37 + y * 91 + c * 53 + (x * y) % 17 * 11) % 256));
  return image;
}

std::string encoded(const Image& image, const char* format) {
  const QImage picture(image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height),
                       static_cast<int>(image.width * 3), QImage::Format_RGB888);
  QBuffer buffer;
  buffer.open(QIODevice::WriteOnly);
  if (!picture.save(&buffer, format, 95)) qFatal("cannot write %s", format);
  return buffer.data().toStdString();
}

std::string bigEndian(uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

std::string chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return bigEndian(static_cast<uint32_t>(data.size())) + body + bigEndian(static_cast<uint32_t>(crc));
}

// A grey PNG of the given size whose unpacked data are `rows` zero bytes.
std::string pngOf(uint32_t width, uint32_t height, size_t rows) {
  const std::string raw(rows, '\0');
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), static_cast<uLong>(raw.size()));
  packed.resize(size);
  return "\x89PNG\r\n\x1A\n" + chunk("IHDR", bigEndian(width) + bigEndian(height) + std::string("\x08\0\0\0\0", 5)) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

}  // namespace

class ImagesTest : public QObject, private DataFiles {
  Q_OBJECT

 private:
  nlohmann::json m_cases;

  static DataSettings settingsOf(const fs::path& path, int64_t side = 8) {
    DataSettings settings;
    settings.task = DataTask::ImageClassification;
    settings.train = path;
    settings.image = ImageSettings::standard(side, 3);
    return settings;
  }

 private Q_SLOTS:
  void initTestCase() {
    auto cases = readJsonFile(RANKSCOPE_SOURCE_DIR "/tests/core/data/image_cases.json");
    QVERIFY(cases.ok());
    m_cases = *cases;
  }

  void resizesAsPillow() {
    for (const auto& entry : m_cases["resize"]) {
      const Image image = formulaImage(entry["from"][0], entry["from"][1]);
      const Image result = resizedImage(image, entry["to"][0], entry["to"][1], static_cast<Resample>(entry["resample"].get<int>()));
      const auto crc = crc32(0, result.pixels.data(), static_cast<uInt>(result.pixels.size()));
      QVERIFY2(crc == entry["crc32"].get<uLong>(), entry.dump().c_str());
    }
  }

  void processesAsTransformers() {
    for (const auto& entry : m_cases["processors"]) {
      const fs::path folder = file("processor/preprocessor_config.json", entry["config"].dump()).parent_path();
      const auto settings = readImageSettings(folder, ImageSettings::standard(224, 3));
      QVERIFY2(settings.ok(), settings.ok() ? "" : settings.error().message().c_str());
      QVERIFY2(settings->height == entry["shape"][1] && settings->width == entry["shape"][2], entry.dump().c_str());
      const auto pixels = modelPixels(formulaImage(entry["from"][0], entry["from"][1]), *settings, "case");
      QVERIFY(pixels.ok());
      const auto plane = static_cast<size_t>(settings->height * settings->width);
      const auto value = [&](size_t i) {
        return ((*pixels)[i] * settings->rescale - settings->mean[i / plane]) / settings->deviation[i / plane];
      };
      // Tall pictures: Pillow 13 shrinks columns first, which rounds otherwise by a level at most.
      const auto level = [&](size_t i) { return entry["from"][0] == 17 ? settings->rescale / settings->deviation[i / plane] : 0.0; };
      const auto step = entry["step"].get<size_t>();
      for (size_t i = 0; i < entry["values"].size(); ++i)
        QVERIFY2(std::abs(value(i * step) - entry["values"][i].get<double>()) < 2e-6 + level(i * step), entry.dump().c_str());
      double sum = 0;
      for (size_t i = 0; i < pixels->size(); ++i) sum += value(i);
      QVERIFY2(std::abs(sum / static_cast<double>(pixels->size()) - entry["mean"].get<double>()) < 2e-6 + level(0) / 20, entry.dump().c_str());
    }
  }

  void settingsRefused_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("key");
    QTest::newRow("array") << "[]" << "";
    QTest::newRow("size") << R"({"size": {"longest_edge": 3}})" << "size";
    QTest::newRow("side") << R"({"size": 1e9})" << "size";
    QTest::newRow("negative") << R"({"size": {"height": -3, "width": 4}})" << "size";
    QTest::newRow("filter") << R"({"resample": 9})" << "resample";
    QTest::newRow("deviation") << R"({"image_std": [1, 0, 1]})" << "image_std";
    QTest::newRow("channels") << R"({"image_mean": [1, 2]})" << "image_mean";
    QTest::newRow("padding") << R"({"do_pad": true})" << "do_pad";
    QTest::newRow("type") << R"({"image_processor_type": 3, "do_resize": "yes"})" << "do_resize";
  }
  void settingsRefused() {
    QFETCH(QString, text);
    QFETCH(QString, key);
    const fs::path folder = file("refused/preprocessor_config.json", text.toStdString()).parent_path();
    const auto settings = readImageSettings(folder, ImageSettings::standard(224, 3));
    QVERIFY(!settings.ok());
    QVERIFY2(settings.error().what.find(key.toStdString()) != std::string::npos, settings.error().message().c_str());
    QVERIFY(!settings.error().hint.empty());
  }

  void sizeOfTheRun() {
    ImageSettings settings = ImageSettings::standard(224, 3);
    QCOMPARE(settings.shortestEdge, int64_t{256});
    settings.setSide(112);
    QVERIFY(settings.shortestEdge == 128 && settings.height == 112);
    settings = ImageSettings::standard(32, 3);
    QVERIFY(settings.squeeze && settings.shortestEdge == 0);
    settings.setSide(48);
    QVERIFY(settings.squeeze && settings.width == 48);
  }

  void decodes() {
    const Image image = formulaImage(19, 11);
    const auto png = decodeImage(encoded(image, "PNG"), "a.png");
    QVERIFY(png.ok());
    QVERIFY(png->pixels == image.pixels);
    // A smooth picture survives JPEG within a few levels.
    Image smooth{32, 24, 3, {}};
    for (int64_t i = 0; i < 32 * 24 * 3; ++i) smooth.pixels.push_back(static_cast<uint8_t>(40 + i / 3 % 32 * 3 + i / 96 * 2));
    const auto jpeg = decodeImage(encoded(smooth, "JPG"), "a.jpg");
    QVERIFY(jpeg.ok());
    QVERIFY(jpeg->width == 32 && jpeg->height == 24);
    for (size_t i = 0; i < smooth.pixels.size(); ++i) QVERIFY(std::abs(jpeg->pixels[i] - smooth.pixels[i]) < 8);
  }

  void refused_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* name, const std::string& bytes, const char* what) {
      QTest::newRow(name) << QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size())) << what;
    };
    const std::string png = encoded(formulaImage(19, 11), "PNG"), jpeg = encoded(formulaImage(64, 48), "JPG");
    row("empty", "", "empty");
    row("zeros", std::string(400, '\0'), "no image");
    row("gif", "GIF89a............", "GIF");
    row("web page", "<html></html>", "web page");
    row("png head alone", png.substr(0, 8), "header");
    row("png without its end", png.substr(0, png.size() - 12), "cut off");
    row("png cut in its pixels", png.substr(0, png.size() / 2), "cut off");
    row("png of many gigabytes", pngOf(60000, 60000, 10), "too large");
    row("png beyond its size", pngOf(4, 4, 1 << 20), "more pixels");
    row("png of too little", pngOf(64, 64, 10), "decoded");
    row("png of no width", pngOf(0, 4, 10), "header");
    std::string damaged = png;
    const size_t pixels = damaged.find("IDAT") + 4;
    for (size_t i = pixels; i < pixels + 12; ++i) damaged[i] = '\x5A';
    row("png with damaged pixels", damaged, "unpacked");
    row("jpeg head alone", jpeg.substr(0, 3), "header");
    row("jpeg cut off", jpeg.substr(0, jpeg.size() / 2), "cut off");
    row("jpeg without its end", jpeg.substr(0, jpeg.size() - 2), "cut off");
    std::string table = jpeg;
    for (size_t i = 0; i < 16; ++i) table[table.find("\xFF\xC4") + 5 + i] = '\x20';
    row("jpeg with a table of 512 codes", table, "");
    std::string huge = jpeg;
    const size_t frame = huge.find("\xFF\xC0");
    QVERIFY(frame != std::string::npos);
    huge.replace(frame + 5, 4, "\xFF\xFF\xFF\xFF");
    row("jpeg of four billion pixels", huge, "");
  }
  void refused() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, what);
    const auto image = decodeImage(bytes.toStdString(), "x/bad");
    QVERIFY(!image.ok());
    const std::string message = image.error().what + " " + image.error().found;
    QVERIFY2(message.find(what.toStdString()) != std::string::npos, image.error().message().c_str());
    QVERIFY(!image.error().hint.empty() && image.error().where == "x/bad");
  }

  void folderOfClasses() {
    const std::string png = encoded(formulaImage(9, 7), "PNG"), jpeg = encoded(formulaImage(12, 12), "JPG");
    for (int i = 0; i < 6; ++i) file("pets/dog/" + std::to_string(i) + ".png", png);
    for (int i = 0; i < 4; ++i) file("pets/cat/deep/" + std::to_string(i) + ".JPEG", jpeg);
    const fs::path bad = file("pets/cat/cut.png", png.substr(0, 40));
    file("pets/cat/notes.txt", "not an image");
    file("pets/.hidden/a.png", png);
    const auto table = inspectTable(bad.parent_path().parent_path());
    QVERIFY2(table.ok(), table.ok() ? "" : table.error().message().c_str());
    QVERIFY(table->format == DataFormat::Images && table->guessedTask == DataTask::ImageClassification);
    QCOMPARE(table->rows, uint64_t{11});
    auto data = prepareData(settingsOf(place("pets")), nullptr);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->labels, (std::vector<std::string>{"cat", "dog"}));
    QCOMPARE(data->train.size() + data->eval.size(), size_t{10});
    QCOMPARE(data->trainProblems.total, uint64_t{1});
    QVERIFY(data->trainProblems.items[0].message.find("cat/cut.png") != std::string::npos);
    QVERIFY(data->train.images() && data->train.images() == data->eval.images());
    QCOMPARE(data->train.tokens(), data->train.size());
    const ExampleView example = data->train[0];
    const auto expected = modelPixels(formulaImage(9, 7), ImageSettings::standard(8, 3), "");
    const PreviewRow row = previewExample(example, nullptr, DataTask::ImageClassification, data->labels);
    QVERIFY(row.image.width == 8 && row.image.channels == 3);
    bool foundDog = false;
    for (size_t i = 0; i < data->train.size(); ++i) {
      if (data->train[i].classLabel != 1) continue;
      foundDog = true;
      const auto pixels = data->train.images()->pixels(data->train[i].ids[0]);
      QVERIFY(std::equal(pixels.begin(), pixels.end(), expected->begin(), expected->end()));
    }
    QVERIFY(foundDog);
    // The same for any number of threads, and a hash that any change of a file changes.
    PrepareOptions one;
    one.threads = 1;
    auto again = prepareData(settingsOf(place("pets")), nullptr, one);
    QCOMPARE(again->trainHash, data->trainHash);
    for (size_t i = 0; i < data->train.size(); ++i) {
      const auto a = data->train.images()->pixels(data->train[i].ids[0]), b = again->train.images()->pixels(again->train[i].ids[0]);
      QVERIFY(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
    file("pets/dog/0.png", encoded(formulaImage(9, 8), "PNG"));
    QVERIFY(prepareData(settingsOf(place("pets")), nullptr, one)->trainHash != data->trainHash);
  }

  void foldersRefused() {
    const std::string png = encoded(formulaImage(9, 7), "PNG");
    file("loose/a.png", png);
    auto loose = prepareData(settingsOf(place("loose")), nullptr);
    QVERIFY(!loose.ok() && loose.error().found.find("1 images") != std::string::npos);
    file("parts/train/cat/a.png", png);
    file("parts/test/cat/a.png", png);
    auto parts = prepareData(settingsOf(place("parts")), nullptr);
    QVERIFY(!parts.ok() && parts.error().hint.find("folder train") != std::string::npos);
    file("bad/cat/a.png", "");
    auto bad = prepareData(settingsOf(place("bad")), nullptr);
    QVERIFY(!bad.ok() && bad.error().found.find("empty") != std::string::npos);
    DataSettings words = settingsOf(place("parts/train"));
    words.task = DataTask::Classification;
    auto wrong = prepareData(words, nullptr);
    QVERIFY(!wrong.ok() && wrong.error().hint.find("image_classification") != std::string::npos);
    auto table = prepareData(settingsOf(file("table.csv", "image,label\na,b\nc,d\n")), nullptr);
    QVERIFY(!table.ok() && table.error().what.find("no images") != std::string::npos);
    QVERIFY(!ImageSource::open(place("absent")).ok());
    DataSettings huge = settingsOf(place("parts/train"));
    huge.image.setSide(1 << 22);
    auto large = prepareData(huge, nullptr);
    QVERIFY(!large.ok() && large.error().what.find("memory") != std::string::npos);
  }

  void cifarBatches() {
    std::string records;
    for (int i = 0; i < 5; ++i) {
      std::string record(3073, static_cast<char>(i * 7));
      record[0] = static_cast<char>(i == 4 ? 200 : i % 3);
      record[1 + 1024] = '\xFA';  // the first pixel's green
      records += record;
    }
    const fs::path batch = file("cifar/data_batch_1.bin", records);
    file("cifar/test_batch.bin", records.substr(0, 3073));
    file("cifar/batches.meta.txt", "plane\ncar\r\nbird\n\n");
    const auto folder = ImageSource::open(batch.parent_path()), single = ImageSource::open(batch);
    QVERIFY(folder.ok() && single.ok());
    QCOMPARE((*folder)->size(), size_t{5});  // the test batch is not trained on
    QCOMPARE((*single)->name(2), std::string("data_batch_1.bin #3"));
    QCOMPARE((*single)->label(2), std::string("bird"));
    QCOMPARE((*single)->label(4), std::string());
    const auto image = (*single)->read(1);
    QVERIFY(image.ok() && image->pixels[0] == 7 && image->pixels[1] == 0xFA && image->pixels[2] == 7);
    auto data = prepareData(settingsOf(batch, 32), nullptr);
    QVERIFY(data.ok());
    QCOMPARE(data->labels, (std::vector<std::string>{"bird", "car", "plane"}));
    QCOMPARE(data->trainProblems.total, uint64_t{1});
    QVERIFY(!ImageSource::recognises(file("other.bin", records.substr(0, 3000))));
    QVERIFY(!ImageSource::open(file("empty.bin", "")).ok());
    const auto hundred = ImageSource::open(file("hundred/train.bin", std::string(2 * 3074, '\x05')));
    QVERIFY(hundred.ok() && (*hundred)->size() == 2 && (*hundred)->label(0) == "5");
  }

  void idxFiles() {
    const std::string images = bigEndian(0x803) + bigEndian(3) + bigEndian(2) + bigEndian(4) + std::string(24, '\x11');
    const std::string labels = bigEndian(0x801) + bigEndian(3) + std::string("\x07\0\x02", 3);
    const fs::path path = file("mnist/t10k-images-idx3-ubyte", images);
    QVERIFY(!ImageSource::open(path).ok());  // no labels beside it
    file("mnist/t10k-labels-idx1-ubyte", labels);
    const auto source = ImageSource::open(path);
    QVERIFY(source.ok() && (*source)->size() == 3 && (*source)->label(2) == "2");
    const auto image = (*source)->read(2);
    QVERIFY(image.ok() && image->width == 4 && image->height == 2 && image->channels == 1 && image->pixels[7] == 0x11);
    auto data = prepareData(settingsOf(path), nullptr);
    QVERIFY(data.ok() && data->labels == (std::vector<std::string>{"0", "2", "7"}));
    for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::string>>{
             {"cut", images.substr(0, 30)},
             {"wrong", bigEndian(0x801) + images.substr(4)},
             {"head", images.substr(0, 9)},
             {"huge", bigEndian(0x803) + bigEndian(4000000000u) + bigEndian(4096) + bigEndian(4096) + "x"},
             {"flat", bigEndian(0x803) + bigEndian(3) + bigEndian(0) + bigEndian(4)}}) {
      file("broken/x-labels-idx1-ubyte", labels);
      const auto broken = ImageSource::open(file("broken/x-images-idx3-ubyte", bytes));
      QVERIFY2(!broken.ok() && !broken.error().hint.empty(), name.c_str());
    }
    file("broken/x-labels-idx1-ubyte", labels.substr(0, 9));
    QVERIFY(!ImageSource::open(file("broken/x-images-idx3-ubyte", images)).ok());
  }

  void realData() {
    const char* shared = std::getenv("RANKSCOPE_SHARED");
    if (!shared || !fs::exists(fs::path(shared) / "data/cifar10")) QSKIP("the CIFAR data is not here");
    const fs::path root = fs::path(shared) / "data";
    auto test = prepareFile(root / "cifar10/test", settingsOf(root, 32), nullptr);
    QVERIFY2(test.ok(), test.ok() ? "" : test.error().message().c_str());
    QCOMPARE(test->set.size(), size_t{1000});
    QCOMPARE(test->labels.size(), size_t{10});
    QCOMPARE(test->problems.total, uint64_t{0});
    auto binary = prepareFile(root / "cifar10/cifar-10-batches-bin", settingsOf(root, 32), nullptr);
    QVERIFY(binary.ok() && binary->labels == test->labels && binary->set.size() == 500);
    auto png = prepareFile(root / "cifar10/png_example", settingsOf(root, 32), nullptr);
    QVERIFY(png.ok() && png->labels.size() == 3);
    auto digits = prepareFile(root / "mnist/t10k-images-idx3-ubyte.gz", settingsOf(root, 32), nullptr);
    QVERIFY2(digits.ok() && digits->set.size() == 10000, digits.ok() ? "" : digits.error().message().c_str());
    QCOMPARE(digits->labels.size(), size_t{10});
  }
};

QTEST_GUILESS_MAIN(ImagesTest)
#include "images.moc"
