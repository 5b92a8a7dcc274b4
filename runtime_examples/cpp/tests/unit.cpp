// Tests of everything but model.cpp, on a model that replays a bundle's recording: unit BUNDLE..., or one of
//   unit --sample FILE         reads "temperature top_k top_p uniform count logit..." line by line and writes
//   the id chosen for each unit --uniform FILE        reads "seed position" line by line and writes the
//   number unit --tokens FILE BUNDLE  reads a JSON array; writes a text's ids, or ! where it is refused, and
//   the pieces of a list of ids unit --fuzz BUNDLE FILE  reads pairs of a manifest and the file's content,
//   each after its length, puts them into the bundle
//                         and reads all that there is, as far as it goes; writes how far, a digit a pair
#include <cstdio>
#include <iostream>
#include <sstream>

#include "../generate.hpp"
#include "../golden.hpp"
#include "../vectors.hpp"

namespace {

using namespace edgernn;

// Counts what fails instead of ending, so that one run says all of it.
int failures = 0;

void expect(bool ok, const char* what) {
  if (ok) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

template <class Function>
void expect_error(const Function& function, const std::string& part) {
  try {
    function();
    expect(false, ("an error about " + part).c_str());
  } catch (const BundleError& error) {
    expect(std::string(error.what()).find(part) != std::string::npos, error.what());
  }
}

// Answers the n-th step by what was recorded after n steps; `offset` is added to the first value of its
// logits and states.
class Replay : public Model {
 public:
  explicit Replay(const std::filesystem::path& folder, float offset = 0,
                  const std::optional<std::string>& artifact = {})
      : Model(Bundle(folder)),
        artifact_(bundle.choose("onnx", "step", artifact)),
        golden_(bundle),
        recorded_(read_safetensors(bundle.read(bundle.golden_path), bundle.golden_path)),
        offset_(offset) {}

  Results step(const Tensors&, const State& state) const override {
    Results results;
    for (const auto& [name, recorded] : golden_.state_before(static_cast<std::int64_t>(at_))) {
      given_recorded_states = given_recorded_states && state.at(name).numbers() == recorded.numbers();
    }
    for (const TensorSpec& tensor : bundle.contract.graph("step").outputs) {
      const auto& all = recorded_.at(tensor.name).floats();
      const std::size_t size = all.size() / static_cast<std::size_t>(golden_.steps());
      std::vector<float> values(all.begin() + at_ * size, all.begin() + (at_ + 1) * size);
      if (tensor.role == "state" || tensor.name == bundle.contract.logits_output().name) values[0] += offset_;
      const Tensor made{bundle.contract.shape(tensor), std::move(values)};
      if (tensor.role == "state") {
        results.state[tensor.name.substr(0, tensor.name.size() - next_name("").size())] = made;
      } else
        results.outputs[tensor.name] = made;
    }
    at_ = (at_ + 1) % static_cast<std::size_t>(golden_.steps());
    return results;
  }

  Tensors encode(const Tensors&) const override {
    Tensors made;
    for (const TensorSpec& tensor : bundle.contract.graph("encode").outputs) {
      made[tensor.name] = recorded_.at(tensor.name);
    }
    return made;
  }

  const Artifact& artifact() const override { return artifact_; }

  mutable bool given_recorded_states = true;  // whether every step began from the recorded state

 private:
  Artifact artifact_;
  Golden golden_;
  Tensors recorded_;
  float offset_;
  mutable std::size_t at_ = 0;
};

void test_json() {
  const Json json = Json::parse(R"( {"a": [1, -2.5e1, true, null], "b": "\u00e9\ud83d\ude00\n"} )", "x");
  expect(json.at("a").array()[1].number() == -25, "a number");
  expect(json.at("b").string() == "\xC3\xA9\xF0\x9F\x98\x80\n", "escapes");
  expect(json_string("a\"\n\x01") == R"("a\"\n\u0001")", "writing a string");
  for (const char* bad :
       {"", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "\"\\x\"", "\"\\ud800\"", "[1] 2", "nul", "\"\n\""}) {
    expect_error([&] { Json::parse(bad, "x"); }, "damaged");
  }
  expect_error([] { Json::parse(std::string(100000, '['), "x"); }, "nested");
  expect_error([&] { json.at("c"); }, "no \"c\"");
  expect_error([&] { json.at("a").array()[1].integer(); }, "x.a[1]");
}

void test_sha256() {
  expect(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "SHA-256 of nothing");
  expect(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "SHA-256 of abc");
  expect(
      sha256(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      "a million");
}

std::string safetensors(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (int index = 0; index < 8; ++index) length[index] = static_cast<char>(header.size() >> (8 * index));
  return length + header + data;
}

void test_safetensors() {
  const auto one = [](const std::string& entry) {
    return safetensors("{\"x\":" + entry + "}", std::string(8, '\0'));
  };
  const Tensors read = read_safetensors(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "f");
  expect(read.at("x").floats() == std::vector<float>{0, 0}, "two floats");
  for (const char* bad : {R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
                          R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})",
                          R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"}) {
    expect_error([&] { read_safetensors(one(bad), "f"); }, "does not lie within");
  }
  expect_error(
      [&] { read_safetensors(one(R"({"dtype":"F32","shape":[4e9,4e9],"data_offsets":[0,8]})"), "f"); },
      "2^26");
  expect_error([&] { read_safetensors(one(R"({"dtype":"BF16","shape":[4],"data_offsets":[0,8]})"), "f"); },
               "BF16");
  expect_error([] { read_safetensors(std::string(8, '\xff'), "f"); }, "no safetensors file");
  expect_error([] { read_safetensors("abc", "f"); }, "no safetensors file");
}

void test_sampler() {
  const std::vector<float> logits = {0, 2, 2, -HUGE_VALF};
  const bool bounded =
      prefill_width(34) == 256 && prefill_width(1 << 13) == 128 && prefill_width(1 << 21) == 1;
  expect(bounded, "a call takes at most 256 tokens and gives at most 4 MB of logits");
  expect(sample(logits, {0, 0, 1}, 0.9) == 1, "greedy takes the lower of equal ids");
  expect(sample(logits, {1, 1, 1}, 0.999) == 1, "top-k 1 keeps the best");
  expect(sample(logits, {1, 0, 0.5}, 0.999) == 2, "top-p keeps the fewest that reach it");
  expect(sample({1, 1}, {1, 0, 1}, 0.5) == 1, "a number on the border goes to the next");
  expect(sample({1, 1}, {1, 0, 0.5}, 0.9) == 0, "top-p on the border is reached");
  expect_error([] { sample({NAN, 1}, {0, 0, 1}, 0); }, "not finite");
  expect_error([] { sample({-HUGE_VALF}, {0, 0, 1}, 0); }, "suppressed");
  expect_error([] { check({1, 0, 0}); }, "--top-p");
}

void test_bundle(const std::filesystem::path& folder) {
  const Replay replay(folder);
  for (const Line& line : Golden(replay.bundle).check(replay)) {
    expect(line.ok() && line.worst == 0, line.name.c_str());
  }
  bool seen = false;
  const Replay wrong(folder, 0.1F);
  for (const Line& line : Golden(wrong.bundle).check(wrong)) seen = seen || !line.ok();
  expect(seen, "a logit that is off by 0.1 fails the golden run");
  const Replay broken(folder, NAN);
  for (const Line& line : Golden(broken.bundle).check(broken)) {
    expect(line.name != replay.bundle.contract.logits_output().name || !line.ok(),
           "a value that is no number fails");
  }
  for (const Artifact& artifact : replay.bundle.artifacts) {
    if (artifact.graph != "step") continue;
    const Replay off(folder, 0.01F, artifact.path);
    Golden(off.bundle).check(off);
    expect(off.given_recorded_states == artifact.forced,
           "a forced run starts each step from the recorded state");
  }
  const Tokenizer tokenizer(replay.bundle);
  const auto ids = tokenizer.encode(replay.bundle.contract.encodes() ? "" : "the dog");
  expect(tokenizer.decode(ids) == (replay.bundle.contract.encodes() ? "" : "the dog"),
         "decoding what was encoded");
  if (replay.bundle.contract.encodes()) return;
  expect_error([&] { tokenizer.encode("a\xE2\x82\xAC"); }, "\xE2\x82\xAC");
  expect_error([&] { tokenizer.encode("a\xFF"); }, "not UTF-8");
  Options options;
  options.length = 3;
  options.sampling.temperature = 0;
  std::vector<std::int64_t> heard;
  const auto written =
      generate(replay, tokenizer, "the", options, [&](std::int64_t id) { heard.push_back(id); });
  expect(written.size() == 3 && heard == written, "three tokens, each heard as it comes");
}

int sample_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream stream(line);
    Sampling options;
    double uniform = 0;
    std::size_t count = 0;
    stream >> options.temperature >> options.top_k >> options.top_p >> uniform >> count;
    std::vector<float> logits(count);
    for (float& logit : logits) stream >> logit;
    std::printf("%lld\n", static_cast<long long>(sample(logits, options, uniform)));
  }
  return 0;
}

int uniform_lines() {
  for (std::uint64_t seed = 0, position = 0; std::cin >> seed >> position;) {
    std::printf("%.17g\n", uniform_at(seed, position));
  }
  return 0;
}

void print_pieces(const std::string& piece) {
  for (const char c : piece) std::printf("%02x", static_cast<unsigned char>(c));
}

int token_lines(const std::filesystem::path& folder) {
  const std::string given{std::istreambuf_iterator<char>(std::cin), {}};
  const Tokenizer tokenizer{Bundle(folder)};
  const Json all = Json::parse(given, "stdin");
  for (const Json& item : all.array()) {
    if (item.is_string()) {
      std::string line;
      try {
        for (const std::int64_t id : tokenizer.encode(item.string())) line += std::to_string(id) + " ";
      } catch (const BundleError&) {
        line = "!";
      }
      std::puts(line.c_str());
      continue;
    }
    Tokenizer::Writing writing(tokenizer);
    for (const Json& id : item.array()) print_pieces(writing.piece(id.integer())), std::putchar('|');
    print_pieces(writing.end());
    std::puts("");
  }
  return 0;
}

bool put(const std::filesystem::path& path) {
  std::uint32_t length = 0;
  if (!std::cin.read(reinterpret_cast<char*>(&length), sizeof length)) return false;
  std::string content(length, '\0');
  std::cin.read(content.data(), length);
  std::ofstream(path, std::ios::binary).write(content.data(), length);
  return true;
}

int fuzz(const std::filesystem::path& folder, const std::string& name) {
  while (put(folder / "manifest.json") && put(folder / name)) {
    int reached = 0;
    try {
      const Bundle bundle(folder);
      bundle.choose("onnx", "step", {}, "1.31.1");
      ++reached;
      const Tokenizer tokenizer(bundle);
      ++reached;
      const Replay replay(folder);
      Golden(replay.bundle).check(replay);
      ++reached;
      replay_vectors(bundle);
      ++reached;
    } catch (const BundleError& error) {
      if (std::string(error.what()).size() < 20) reached = 9;
    } catch (const std::out_of_range&) {  // main says what these two mean
    } catch (const std::bad_alloc&) {
    }
    std::fprintf(stderr, "%d", reached);
  }
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    const std::string mode = count > 1 ? values[1] : "";
    if (mode == "--fuzz" && count == 4) return fuzz(values[2], values[3]);
    if (mode.rfind("--", 0) == 0 && std::freopen(values[2], "r", stdin) == nullptr) return 1;
    if (mode == "--sample") return sample_lines();
    if (mode == "--uniform") return uniform_lines();
    if (mode == "--tokens" && count == 4) return token_lines(values[3]);
    test_json();
    test_sha256();
    test_safetensors();
    test_sampler();
    for (int index = 1; index < count; ++index) test_bundle(values[index]);
  } catch (const std::exception& error) {
    expect(false, error.what());
  }
  if (failures == 0) std::puts("ok");
  return failures == 0 ? 0 : 1;
}
