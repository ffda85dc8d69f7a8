// JSON limits, SHA-256 vectors, names that leave a folder, atomic files, and safetensors headers that lie.

#include <fmt/format.h>
#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "broken_files.h"
#include "core/io/mapped_file.h"
#include "core/io/paths.h"
#include "core/io/safetensors_header.h"
#include "core/io/sha256.h"
#include "core/io/shard_index.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string prefixed(const std::string& header, const std::string& body = {}, uint64_t claimed = UINT64_MAX) {
  uint64_t length = claimed == UINT64_MAX ? header.size() : claimed;
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(length >> (8 * i) & 0xFF);
  return out + header + body;
}

}  // namespace

class IoFilesTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void sha256Vectors() {
    QCOMPARE(sha256Hex(""), std::string("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    QCOMPARE(sha256Hex("abc"), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    QCOMPARE(sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
             std::string("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
    Sha256 pieces;
    for (int i = 0; i < 10000; ++i) pieces.update(std::string(100, 'a'));
    QCOMPARE(pieces.hex(), std::string("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
    Sha256 one, other;
    one.updateField("ab");
    one.updateField("c");
    other.updateField("a");
    other.updateField("bc");
    QVERIFY(one.hex() != other.hex());
  }

  void namesStayInside() {
    const fs::path folder = "/models/x";
    QVERIFY(joinInside(folder, "model-00001-of-00002.safetensors", "index").ok());
    QVERIFY(joinInside(folder, "sub/part.safetensors", "index").ok());
    for (const std::string& name :
         {std::string(""), std::string("../y"), std::string("/etc/passwd"), std::string("a/../../b"), std::string("."),
          std::string("a/./b"), std::string("a\0b", 3), std::string("..\\y")})
      QVERIFY2(!joinInside(folder, name, "index").ok(), name.c_str());
  }

  void mappingIsCopyOnWrite() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "file";
    write(path, "abc");
    auto file = MappedFile::open(path);
    QVERIFY(file.ok());
    (*file)->data()[0] = 'X';
    QCOMPARE((*file)->bytes(), std::string_view("Xbc"));
    QCOMPARE(MappedFile::open(path).value()->bytes(), std::string_view("abc"));
    QVERIFY(!MappedFile::open(path.parent_path()).ok());
    QVERIFY(!MappedFile::open(path / "none").ok());
  }

  void headerBroken_data() {
    std::vector<BrokenFile> files;
    const auto row = [&](const char* name, const std::string& bytes, const char* words) {
      files.push_back({name, bytes, words});
    };
    const std::string four(4, '\0');
    row("empty", "", "too short");
    row("seven bytes", std::string(7, '\0'), "too short");
    row("zero header", prefixed(""), "does not begin");
    row("header too large", prefixed("{}", "", 100'000'001), "too large");
    row("header length overflows", prefixed("{}", "", UINT64_MAX - 1), "too large");
    row("header longer than file", prefixed("{}", "", 3), "longer than the file");
    row("not JSON", prefixed("{abc}"), "not valid JSON");
    row("an array", prefixed("[]"), "does not begin");
    row("space first", prefixed(" {}"), "does not begin");
    row("bad UTF-8", prefixed("{\"\xff\":1}"), "not valid JSON");
    row("no entry", prefixed("{\"a\":1}"), "not complete");
    row("no offsets", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", four), "not complete");
    row("unknown dtype", prefixed("{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", four),
        "unknown dtype");
    row("negative size", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", four),
        "other than a size");
    row("fractional size", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", four),
        "other than a size");
    row("three offsets", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", four),
        "pair of offsets");
    row("end before begin", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", four),
        "ends before");
    row("wrong size", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", four),
        "do not match");
    row("product overflows",
        prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}"), "too large");
    row("overflow hidden by a zero",
        prefixed(
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4611686018427387904,0],\"data_offsets\":[0,0]}}"),
        "too large");
    row("bits overflow", prefixed("{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}"),
        "do not match");
    row("starts with a hole", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", four + four),
        "hole");
    row("hole between",
        prefixed(
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[8,12]}}",
            std::string(12, '\0')),
        "hole");
    row("overlap",
        prefixed(
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[0,4]}}",
            four),
        "overlap");
    row("file too short", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", four),
        "ends before its tensors");
    row("bytes behind", prefixed("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", four + "x"),
        "follow the last");
    row("same name twice",
        prefixed(
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
            "\"data_offsets\":[4,8]}}",
            four + four),
        "not valid JSON");
    row("metadata not text", prefixed("{\"__metadata__\":{\"a\":1}}"), "other than text");
    row("metadata not a table", prefixed("{\"__metadata__\":[]}"), "not a table");
    row("half a byte", prefixed("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", "x"),
        "do not match");
    // One entry with one thing wrong; its four bytes follow.
    const auto entry = [&](const char* name, const std::string& text, const char* what) {
      row(name, prefixed("{\"a\":" + text + "}", four), what);
    };
    entry("entry null", "null", "not complete");
    entry("entry a list", "[1,2]", "not complete");
    entry("entry a text", "\"F32\"", "not complete");
    entry("entry empty", "{}", "not complete");
    entry("no dtype", R"({"shape":[1],"data_offsets":[0,4]})", "not complete");
    entry("no shape", R"({"dtype":"F32","data_offsets":[0,4]})", "not complete");
    entry("dtype a number", R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})", "unknown dtype");
    entry("dtype null", R"({"dtype":null,"shape":[1],"data_offsets":[0,4]})", "unknown dtype");
    entry("dtype in small letters", R"({"dtype":"f32","shape":[1],"data_offsets":[0,4]})", "unknown dtype");
    entry("dtype with a space", R"({"dtype":"F32 ","shape":[1],"data_offsets":[0,4]})", "unknown dtype");
    entry("shape a number", R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", "not a list of sizes");
    entry("shape null", R"({"dtype":"F32","shape":null,"data_offsets":[0,4]})", "not a list of sizes");
    entry("shape of text", R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})", "other than a size");
    entry("shape of lists", R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})", "other than a size");
    entry("shape of truth", R"({"dtype":"F32","shape":[true],"data_offsets":[0,4]})", "other than a size");
    entry("size of 2^63", R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]})", "other than a size");
    entry("size of 2^64", R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})",
          "other than a size");
    entry("size in exponent form", R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})", "other than a size");
    entry("offsets null", R"({"dtype":"F32","shape":[1],"data_offsets":null})", "pair of offsets");
    entry("one offset", R"({"dtype":"F32","shape":[1],"data_offsets":[4]})", "pair of offsets");
    entry("offset negative", R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", "pair of offsets");
    entry("offset fractional", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4.0]})", "pair of offsets");
    entry("offset a text", R"({"dtype":"F32","shape":[1],"data_offsets":["0","4"]})", "pair of offsets");
    entry("offset over 2^64", R"({"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551620]})",
          "pair of offsets");
    entry("empty with bytes", R"({"dtype":"F32","shape":[0],"data_offsets":[0,4]})", "do not match");
    entry("scalar of eight", R"({"dtype":"F64","shape":[],"data_offsets":[0,4]})", "do not match");
    entry("narrower dtype", R"({"dtype":"BF16","shape":[1],"data_offsets":[0,4]})", "do not match");
    entry("key twice in an entry", R"({"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]})",
          "not valid JSON");
    entry(
        "65 dimensions",
        R"({"dtype":"F32","shape":[)" + std::string("1") +
            [] {
              std::string more;
              for (int i = 0; i < 64; ++i) more += ",1";
              return more;
            }() +
            R"(],"data_offsets":[0,4]})",
        "not a list of sizes");
    row("metadata null", prefixed("{\"__metadata__\":null}"), "not a table");
    row("metadata nested", prefixed("{\"__metadata__\":{\"a\":{}}}"), "other than text");
    row("zero byte in the header", prefixed(std::string("{\"a\0\":1}", 8)), "not valid JSON");
    row("text behind the object", prefixed("{} {}"), "not valid JSON");
    row("nothing but a brace", prefixed("{"), "not valid JSON");
    row("deep header", prefixed("{\"a\":" + std::string(500, '[') + std::string(500, ']') + "}"), "not valid JSON");
    declareBroken(files);
  }
  void headerBroken() {
    verifyRefused([](const std::string& bytes) { return parseSafetensorsHeader(bytes, bytes.size(), "file"); });
    // The reader of headers alone must refuse the same files.
    QFETCH(QByteArray, bytes);
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "model.safetensors";
    write(path, bytes.toStdString());
    QVERIFY(!readSafetensorsHeader(path).ok());
  }

  // Cut at every byte, every bit turned: refused with a hint, or tensors that tile the file exactly.
  void everyCutAndEveryBit() {
    const std::string file = prefixed(
        R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3,1],"data_offsets":[8,11]}} )",
        std::string(11, '\1'));
    QVERIFY(parseSafetensorsHeader(file, file.size(), "file").ok());
    for (size_t end = 0; end < file.size(); ++end) {
      const auto header = parseSafetensorsHeader(std::string_view(file).substr(0, end), end, "file");
      QVERIFY2(!header.ok() && !header.error().hint.empty(), qPrintable(QString::number(end)));
    }
    for (size_t i = 0; i < file.size() * 8; ++i) {
      std::string turned = file;
      turned[i / 8] = static_cast<char>(turned[i / 8] ^ (1 << i % 8));
      const auto header = parseSafetensorsHeader(turned, turned.size(), "file");
      if (!header) {
        QVERIFY(!header.error().hint.empty());
        continue;
      }
      uint64_t at = header->dataStart;
      for (const TensorInfo& tensor : header->tensors) at += tensor.end - tensor.begin;
      QCOMPARE(at, uint64_t{turned.size()});
    }
  }

  void headerSound() {
    const std::string header =
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],"
        "\"data_offsets\":[16,16]},\"q\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[16,18]}}   ";
    const std::string file = prefixed(header, std::string(18, '\1'));
    const auto parsed = parseSafetensorsHeader(file, file.size(), "file");
    QVERIFY2(parsed.ok(), parsed.ok() ? "" : parsed.error().message().c_str());
    QCOMPARE(parsed->tensors.size(), size_t{4});
    QCOMPARE(parsed->tensors[0].name, std::string("a"));
    QCOMPARE(parsed->tensors[1].shape, (std::vector<int64_t>{2, 3}));
    QCOMPARE(parsed->parameters(), uint64_t{11});
    QCOMPARE(parsed->dtypes().at("BF16"), uint64_t{6});
    QCOMPARE(parsed->metadata.at("format"), std::string("pt"));
    QVERIFY(parseSafetensorsHeader(prefixed("{}"), 10, "empty file").ok());
  }

  // What stands in model.safetensors.index.json beside two sound shards, a folder, and links that lead nowhere.
  void brokenIndex_data() {
    const auto naming = [](const std::string& name) { return nlohmann::json{{"weight_map", {{"w", name}}}}.dump(); };
    std::string many = "{\"weight_map\":{";
    for (int i = 0; i < 4097; ++i) many += fmt::format("{}\"w{}\":\"s{}\"", i ? "," : "", i, i);
    declareBroken({{"parent", naming("../outside.safetensors"), "leaves its folder"},
                   {"parent within", naming("sub/../../outside.safetensors"), "leaves its folder"},
                   {"parent at the end", naming("sub/.."), "leaves its folder"},
                   {"absolute", naming("/etc/passwd"), "leaves its folder"},
                   {"absolute with two slashes", naming("//etc/passwd"), "leaves its folder"},
                   {"this folder", naming("./one.safetensors"), "leaves its folder"},
                   {"backslashes", naming("..\\outside.safetensors"), "leaves its folder"},
                   {"zero byte", naming(std::string("one.safetensors\0.txt", 20)), "leaves its folder"},
                   {"no name", naming(""), "leaves its folder"},
                   {"a folder", naming("sub"), "shard of the model is missing"},
                   {"a file that is not there", naming("two.safetensors"), "shard of the model is missing"},
                   {"a name in other letters", naming("ONE.safetensors"), "shard of the model is missing"},
                   {"a name with a space behind", naming("one.safetensors "), "shard of the model is missing"},
                   {"a home", naming("~/one.safetensors"), "shard of the model is missing"},
                   {"an address", naming("https://example.org/one.safetensors"), "shard of the model is missing"},
                   {"a link that leads nowhere", naming("dangling.safetensors"), "shard of the model is missing"},
                   {"a link to itself", naming("loop.safetensors"), "shard of the model is missing"},
                   {"a link to a device", naming("device.safetensors"), "shard of the model is missing"},
                   {"the index itself", naming("model.safetensors.index.json"), "no weights that can be read"},
                   {"too many files", many + "}}", "names too many files"},
                   {"a number for a file", R"({"weight_map":{"w":1}})", "names no file for a tensor"},
                   {"nothing for a file", R"({"weight_map":{"w":null}})", "names no file for a tensor"},
                   {"a list of files", R"({"weight_map":{"w":["one.safetensors"]}})", "names no file for a tensor"},
                   {"a tensor twice", R"({"weight_map":{"w":"one.safetensors","w":"../x"}})", "not valid JSON"},
                   {"empty map", R"({"weight_map":{}})", "no weight_map"},
                   {"no map", R"({"metadata":{}})", "no weight_map"},
                   {"map a list", R"({"weight_map":["one.safetensors"]})", "no weight_map"},
                   {"map a text", R"({"weight_map":"one.safetensors"})", "no weight_map"},
                   {"a list", "[1]", "no weight_map"},
                   {"a text", "\"one.safetensors\"", "no weight_map"},
                   {"empty", "", "not valid JSON"},
                   {"cut off", "{\"weight_map\":{\"w\":\"one", "not valid JSON"},
                   {"not UTF-8", "{\"weight_map\":{\"w\":\"\xff\"}}", "not valid JSON"},
                   {"deep", std::string(5000, '['), "not valid JSON"}});
  }
  void brokenIndex() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    write(folder / "one.safetensors", prefixed("{}"));
    fs::create_directory(folder / "sub");
    fs::create_symlink("nowhere", folder / "dangling.safetensors");
    fs::create_symlink("loop.safetensors", folder / "loop.safetensors");
    fs::create_symlink("/dev/zero", folder / "device.safetensors");
    verifyRefused([&](const std::string& index) {
      write(folder / "model.safetensors.index.json", index);
      return inspectWeights(folder);
    });
  }

  void soundIndex() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    QVERIFY(!findWeightFiles(folder).ok());
    // Caches of downloads keep the files elsewhere and link them.
    write(folder / "blob", prefixed("{}"));
    fs::create_directory(folder / "model");
    fs::create_symlink("../blob", folder / "model/one.safetensors");
    write(folder / "model/model.safetensors.index.json", R"({"weight_map":{"w":"one.safetensors"}})");
    QVERIFY(findWeightFiles(folder / "model").ok());
    write(folder / "model/model.safetensors", prefixed("{}"));
    QCOMPARE(findWeightFiles(folder / "model")->files.front().filename().string(), std::string("model.safetensors"));
    QVERIFY(!findWeightFiles(folder / "nowhere").ok());
  }
};

QTEST_APPLESS_MAIN(IoFilesTest)
#include "io_files.moc"
