// What the library is told without weights being loaded: a 7B shape at once, Hugging Face's cache, adapters, licences,
// heads, and all that does not fit.
#include <QtTest/QtTest>

#include <unistd.h>

#include <fstream>

#include "core/io/gguf_writer.h"
#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::Home;
namespace fs = std::filesystem;

namespace {

struct Shape {
  std::string name;
  std::vector<int64_t> sizes;
};

std::vector<Shape> llamaShapes(int64_t layers, int64_t hidden, int64_t inner, int64_t vocab) {
  std::vector<Shape> shapes = {{"model.embed_tokens.weight", {vocab, hidden}}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = "model.layers." + std::to_string(i) + ".";
    for (const char* part : {"q_proj", "k_proj", "v_proj", "o_proj"}) shapes.push_back({block + "self_attn." + part + ".weight", {hidden, hidden}});
    for (const char* part : {"gate_proj", "up_proj"}) shapes.push_back({block + "mlp." + part + ".weight", {inner, hidden}});
    shapes.push_back({block + "mlp.down_proj.weight", {hidden, inner}});
    for (const char* part : {"input_layernorm", "post_attention_layernorm"}) shapes.push_back({block + part + ".weight", {hidden}});
  }
  shapes.push_back({"model.norm.weight", {hidden}});
  shapes.push_back({"lm_head.weight", {vocab, hidden}});
  return shapes;
}

// A safetensors file whose data are a hole: as large as said, taking no room on the disk.
void writeSparse(const fs::path& file, const std::vector<Shape>& shapes) {
  json header = json::object();
  uint64_t at = 0;
  for (const Shape& shape : shapes) {
    uint64_t bytes = 2;
    for (const int64_t size : shape.sizes) bytes *= static_cast<uint64_t>(size);
    header[shape.name] = {{"dtype", "BF16"}, {"shape", shape.sizes}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  std::ofstream out(file, std::ios::binary);
  for (int i = 0; i < 8; ++i) out.put(static_cast<char>(text.size() >> (8 * i)));
  out << text;
  out.close();
  QVERIFY(::truncate(file.c_str(), static_cast<off_t>(8 + text.size() + at)) == 0);
}

void writeModel(const fs::path& folder, const std::vector<Shape>& shapes, int64_t layers, int64_t hidden, int64_t inner, int64_t heads,
                int64_t vocab, size_t shards) {
  fs::create_directories(folder);
  json index = {{"metadata", json::object()}, {"weight_map", json::object()}};
  const size_t each = (shapes.size() + shards - 1) / shards;
  for (size_t i = 0; i < shards; ++i) {
    const std::string name = shards == 1 ? "model.safetensors" : "model-" + std::to_string(i + 1) + ".safetensors";
    const auto begin = shapes.begin() + static_cast<std::ptrdiff_t>(i * each);
    const auto end = shapes.begin() + static_cast<std::ptrdiff_t>(std::min(shapes.size(), (i + 1) * each));
    writeSparse(folder / name, {begin, end});
    for (auto it = begin; it != end; ++it) index["weight_map"][it->name] = name;
  }
  if (shards > 1) std::ofstream(folder / "model.safetensors.index.json") << index.dump();
  std::ofstream(folder / "config.json") << json{{"model_type", "llama"},        {"architectures", {"LlamaForCausalLM"}},
                                                {"hidden_size", hidden},        {"intermediate_size", inner},
                                                {"num_hidden_layers", layers},  {"num_attention_heads", heads},
                                                {"num_key_value_heads", heads}, {"vocab_size", vocab},
                                                {"max_position_embeddings", 4096}, {"rms_norm_eps", 1e-5},
                                                {"tie_word_embeddings", false}, {"hidden_act", "silu"}}
                                               .dump();
}

json question(int id, const char* method, json params) { return {{"id", id}, {"method", method}, {"params", std::move(params)}}; }

std::map<int, json> serve(const Home& home, const std::vector<json>& questions, std::vector<json>* progress = nullptr) {
  std::string input;
  for (const json& each : questions) input += each.dump() + "\n";
  const Answer answer = ask(home, {"serve"}, input);
  std::map<int, json> results;
  std::istringstream lines(answer.out);
  for (std::string line; std::getline(lines, line);) {
    const json reply = json::parse(line, nullptr, false);
    if (!reply.is_object()) continue;
    if (reply.contains("progress") && progress) progress->push_back(reply["progress"]);
    if (reply.contains("result")) results[reply["id"].get<int>()] = reply["result"];
    if (reply.contains("error")) results[reply["id"].get<int>()] = {{"error", reply["error"]}};
  }
  return results;
}

const json* named(const json& list, const std::string& name) {
  for (const json& item : list)
    if (item["name"] == name) return &item;
  return nullptr;
}

}  // namespace

class TrainerLibrary : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() { qputenv("HF_HUB_CACHE", (m_home.places.home / "hub").c_str()); }

  // The whole way of a click: helper started, folders searched, page filled.
  void aLargeModelAppearsAtOnce() {
    const fs::path folder = m_home.places.models / "llama-7b";
    writeModel(folder, llamaShapes(32, 4096, 11008, 32000), 32, 4096, 11008, 32, 32000, 3);
    fs::copy_file(m_home.places.starter() / "model" / "tokenizer.model", folder / "tokenizer.model");
    qint64 best = 1 << 30;
    std::map<int, json> answers;
    for (int turn = 0; turn < 3 && best >= 1000; ++turn) {
      QElapsedTimer clock;
      clock.start();
      answers = serve(m_home, {question(1, "models.scan", json::object()), question(2, "library.describe", {{"path", "models:llama-7b"}}),
                               question(3, "model.inspect", {{"path", "models:llama-7b"}})});
      best = std::min(best, clock.elapsed());
    }
    qInfo("found, described and inspected in %lld ms", static_cast<long long>(best));
    QVERIFY2(best < 1000, qPrintable(QString::number(best)));
    const json* found = named(answers[1], "llama-7b");
    QVERIFY(found);
    QCOMPARE((*found)["parameters"].get<int64_t>(), int64_t{6738415616});
    QCOMPARE((*found)["problem"].get<std::string>(), std::string());
    const json& page = answers[2];
    QCOMPARE(page["shards"].size(), size_t{3});
    QCOMPARE(page["sites"].size(), size_t{32 * 7 + 1});
    QCOMPARE(page["tensors"].size(), size_t{291});
    QCOMPARE(page["heads_present"], json({"causal_lm"}));
    QVERIFY2(page["problems"].empty(), page["problems"].dump().c_str());
    QVERIFY(page["missing"].empty() && page["misshapen"].empty() && page["unused"].empty());
    QCOMPARE(page["dtypes"], (json{{"BF16", 6738415616}}));
    QCOMPARE(answers[3]["sites"].size(), size_t{32 * 7 + 1});
  }

  void whatDoesNotFitIsNamed() {
    const fs::path folder = m_home.places.models / "odd";
    std::vector<Shape> shapes = llamaShapes(2, 64, 128, 100);
    shapes.erase(shapes.begin() + 1);   // model.layers.0.self_attn.q_proj.weight
    shapes[1].sizes = {64, 63};         // model.layers.0.self_attn.k_proj.weight
    shapes.push_back({"extra.thing", {3}});
    writeModel(folder, shapes, 2, 64, 128, 4, 100, 1);
    const json page = serve(m_home, {question(1, "library.describe", {{"path", "models:odd"}})})[1];
    QCOMPARE(page["missing"], json({"model.layers.0.self_attn.q_proj.weight [64, 64]"}));
    QCOMPARE(page["misshapen"].size(), size_t{1});
    QVERIFY(page["misshapen"][0].get<std::string>().find("[64, 63], not [64, 64]") != std::string::npos);
    QCOMPARE(page["unused"], json({"extra.thing"}));
    QVERIFY(page["heads_present"].empty());
    QCOMPARE(page["problems"].size(), size_t{1});  // no tokenizer
    QVERIFY(page["problems"][0]["hint"].get<std::string>().find("tokenizer") != std::string::npos);
  }

  void licencesAreRead() {
    const fs::path root = m_home.places.models;
    writeModel(root / "matter", llamaShapes(1, 8, 8, 10), 1, 8, 8, 2, 10, 1);
    std::ofstream(root / "matter" / "README.md") << "---\nlanguage: en\nlicense:\n- apache-2.0\ntags: [x]\n---\n# A model\nlicense: not this\n";
    writeModel(root / "other", llamaShapes(1, 8, 8, 10), 1, 8, 8, 2, 10, 1);
    std::ofstream(root / "other" / "README.md") << "---\nlicense: other\nlicense_name: my-own\n---\n";
    writeModel(root / "text", llamaShapes(1, 8, 8, 10), 1, 8, 8, 2, 10, 1);
    std::ofstream(root / "text" / "LICENSE") << "LLAMA 2 COMMUNITY LICENSE AGREEMENT\n";
    const json list = serve(m_home, {question(1, "models.scan", json::object())})[1];
    QCOMPARE((*named(list, "matter"))["licence"]["name"], json("apache-2.0"));
    QCOMPARE((*named(list, "other"))["licence"]["name"], json("my-own"));
    QCOMPARE((*named(list, "text"))["licence"], (json{{"name", "llama2"}, {"source", "LICENSE"}}));
    QCOMPARE((*named(list, "odd"))["licence"]["name"], json(""));
  }

  // <cache>/models--owner--name/snapshots/<revision>/ with links into blobs/.
  void theHubsCacheIsSearched() {
    const fs::path repository = m_home.places.home / "hub" / "models--someone--tiny-llama";
    const fs::path plain = m_home.places.home / "plain";
    writeModel(plain, llamaShapes(1, 8, 8, 10), 1, 8, 8, 2, 10, 1);
    fs::create_directories(repository / "blobs");
    fs::create_directories(repository / "refs");
    for (const char* revision : {"aaaa1111", "bbbb2222"}) {
      const fs::path snapshot = repository / "snapshots" / revision;
      fs::create_directories(snapshot);
      for (const char* file : {"config.json", "model.safetensors"}) {
        fs::copy_file(plain / file, repository / "blobs" / (std::string(revision) + file));
        fs::create_symlink(fs::path("../../blobs") / (std::string(revision) + file), snapshot / file);
      }
    }
    std::ofstream(repository / "refs" / "main") << "bbbb2222";
    fs::create_directories(m_home.places.home / "hub" / "datasets--someone--data" / "snapshots" / "x");
    std::vector<json> progress;
    const json list = serve(m_home, {question(1, "models.scan", {{"hub", true}, {"stream", true}})}, &progress)[1];
    QCOMPARE(progress.size(), list.size());
    int newest = 0, all = 0;
    for (const json& item : list)
      if (item["origin"] == "hub") {
        ++all;
        QCOMPARE(item["name"], json("someone/tiny-llama"));
        QCOMPARE(item["newest"].get<bool>(), item["revision"] == "bbbb2222");
        newest += item["newest"].get<bool>();
        QVERIFY(item["parameters"].get<int64_t>() > 0);
      }
    QCOMPARE(all, 2);
    QCOMPARE(newest, 1);
  }

  void adaptersFindTheirBaseModel() {
    const fs::path folder = m_home.places.models / "adapters" / "tiny-adapter";
    fs::create_directories(folder);
    const std::string site = "base_model.model.model.layers.0.self_attn.q_proj.";
    writeSparse(folder / "adapter_model.safetensors", {{site + "lora_A.weight", {2, 8}}, {site + "lora_B.weight", {8, 2}}});
    const auto config = [&](json change) {
      json document = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}, {"target_modules", {"q_proj"}}, {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", "someone/tiny-llama"}};
      document.update(change);
      std::ofstream(folder / "adapter_config.json") << document.dump();
    };
    config(json::object());
    json list = serve(m_home, {question(1, "models.scan", {{"adapters", true}})})[1];
    const json* item = named(list, "tiny-adapter");
    QVERIFY(item);
    QCOMPARE((*item)["kind"], json("adapter"));
    QCOMPARE((*item)["rank"], json(2));
    QCOMPARE((*item)["parameters"], json(32));
    QVERIFY2((*item)["base"]["path"].get<std::string>().find("snapshots/bbbb2222") != std::string::npos, item->dump().c_str());
    QCOMPARE((*item)["problem"], json(""));
    // A folder of the same name among the user's models is nearer.
    fs::rename(m_home.places.models / "text", m_home.places.models / "tiny-llama");
    json page = serve(m_home, {question(1, "library.describe", {{"path", folder.string()}})})[1];
    QCOMPARE(page["base"]["path"], json("models:tiny-llama"));
    QCOMPARE(page["tensors"].size(), size_t{2});
    config({{"use_bdlora", true}, {"base_model_name_or_path", "nobody/nothing"}});
    page = serve(m_home, {question(1, "library.describe", {{"path", folder.string()}})})[1];
    QCOMPARE(page["problems"].size(), size_t{2});  // a kind that is not built; and the base model is not here
    QVERIFY(page["problem"].get<std::string>().find("use_bdlora") != std::string::npos);
    // Nobody asked for adapters: the pickers see models only.
    list = serve(m_home, {question(1, "models.scan", json::object())})[1];
    QVERIFY(!named(list, "tiny-adapter"));
  }

  // Told from headers: by the sites' names, then by their sizes.
  void anAdapterFitsItsBaseModelOnly() {
    const fs::path root = m_home.places.models / "fits";
    writeModel(root / "base", llamaShapes(2, 8, 16, 32), 2, 8, 16, 2, 32, 1);
    writeModel(root / "wide", llamaShapes(2, 16, 32, 32), 2, 16, 32, 2, 32, 1);
    writeModel(root / "short", llamaShapes(1, 8, 16, 32), 1, 8, 16, 2, 32, 1);
    const fs::path adapter = root / "adapter";
    fs::create_directories(adapter);
    const std::string site = "base_model.model.model.layers.1.self_attn.q_proj.";
    writeSparse(adapter / "adapter_model.safetensors", {{site + "lora_A.weight", {2, 8}}, {site + "lora_B.weight", {8, 2}}});
    std::vector<json> questions;
    for (const char* model : {"base", "wide", "short", "nothing"})
      questions.push_back(question(static_cast<int>(questions.size()) + 1, "adapter.fits",
                                   {{"adapter", adapter.string()}, {"model", (root / model).string()}}));
    const std::map<int, json> answers = serve(m_home, questions);
    QCOMPARE(answers.at(1), (json{{"fits", true}}));
    QCOMPARE(answers.at(2)["error"]["what"], json("the adapter was made for a model of other sizes"));
    QCOMPARE(answers.at(2)["error"]["found"], json("8 × 8"));
    QCOMPARE(answers.at(3)["error"]["what"], json("1 sites of the adapter are not in the model"));
    for (const int wrong : {2, 3, 4}) QVERIFY(!answers.at(wrong)["error"]["hint"].get<std::string>().empty());
    fs::remove_all(root);
  }

  // Files in the folder that holds all models: each is one, and llama.cpp's adapters are adapters.
  void looseFilesOfTheModelsFolder() {
    GgufWriter writer;
    writer.text("general.architecture", "llama");
    writer.text("general.type", "adapter");
    writer.text("adapter.type", "lora");
    writer.real("adapter.lora.alpha", 6);
    writer.floats("blk.0.attn_q.weight.lora_a", {2, 8}, std::string(64, '\0'));
    writer.floats("blk.0.attn_q.weight.lora_b", {8, 2}, std::string(64, '\0'));
    const fs::path file = m_home.places.models / "reviews.gguf";
    QVERIFY(writer.write(file).ok());
    json list = serve(m_home, {question(1, "models.scan", {{"adapters", true}})})[1];
    QVERIFY(!named(list, m_home.places.models.filename().string()));
    const json* item = named(list, "reviews.gguf");
    QVERIFY(item);
    QCOMPARE((*item)["kind"], json("adapter"));
    QCOMPARE((*item)["rank"], json(2));
    QCOMPARE((*item)["alpha"], json(6.0));
    QCOMPARE((*item)["problem"], json(""));
    const json page = serve(m_home, {question(1, "library.describe", {{"path", file.string()}})})[1];
    QCOMPARE(page["tensors"].size(), size_t{2});
    QCOMPARE(page["config"]["adapter.type"], json("lora"));
    QVERIFY(page["problems"].empty());
    list = serve(m_home, {question(1, "models.scan", json::object())})[1];
    QVERIFY(!named(list, "reviews.gguf") && !named(list, m_home.places.models.filename().string()));
    fs::remove(file);
  }

  void whatIsNoModelSaysSo() {
    const std::map<int, json> answers =
        serve(m_home, {question(1, "library.describe", {{"path", "/nowhere"}}), question(2, "library.describe", json::object()),
                       question(3, "model.tokenizer", {{"path", "starter:model"}}), question(4, "model.tokenizer", {{"path", "models:odd"}})});
    QVERIFY(answers.at(1).contains("error") && !answers.at(1)["error"]["hint"].get<std::string>().empty());
    QVERIFY(answers.at(2).contains("error"));
    QCOMPARE(answers.at(3)["vocabulary"], json(1024));
    QVERIFY(answers.at(4)["error"]["what"].get<std::string>().find("tokenizer") != std::string::npos);
  }

 private:
  Home m_home;
};

QTEST_GUILESS_MAIN(TrainerLibrary)
#include "library.moc"
