// A bundle folder: the manifest as plain data, and files that are what the manifest says.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "contract.hpp"
#include "onnx_guard.hpp"
#include "safetensors.hpp"
#include "sha256.hpp"

namespace edgernn {

struct Artifact {
  std::string path, format, precision, graph, sha256;
  std::int64_t bytes = 0;
  std::map<std::string, std::int64_t> axes;   // axis → the only size that the file takes
  std::map<std::string, std::string> dtypes;  // tensor → the file's dtype
  std::string requires_runtime;               // the lowest version of onnxruntime that runs it, or empty
  bool runtime_state = false;
  std::optional<double> tolerance;  // of the golden run, where the manifest says it
  bool forced = false;  // each step starts from the recorded state; the measure is a root mean square
};

struct Decoding {
  std::vector<std::int64_t> start, stop, suppress;
  double temperature = 0, top_p = 1;
  std::int64_t top_k = 0, length = 0;
};

inline std::string read_bytes(const std::filesystem::path& path) {
  constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 31;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw BundleError(path.string() + " is not there, or no plain file; check the path");
  }
  if (std::filesystem::file_size(path, error) > kMostBytes) {
    throw BundleError(path.string() + " is larger than 2 GB; give another file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw BundleError(path.string() + " cannot be read; make it readable");
  return {std::istreambuf_iterator<char>(file), {}};
}

// Whether a version such as 1.22.1 is `least` or newer, number by number; what is left out is 0.
inline bool is_new_enough(const std::string& version, const std::string& least) {
  std::istringstream own(version), needed(least);
  for (int part = 0; part < 8; ++part) {
    unsigned long left = 0, right = 0;
    char dot = 0;
    if (!(own >> left)) left = 0;
    if (!(needed >> right)) right = 0;
    if (left != right) return left > right;
    own >> dot, needed >> dot;
  }
  return true;
}

// Opening one reads the manifest and verifies every file that it lists, the model files excepted:
// `read_artifact` does. Whatever is read later is one of those files; each lies in the folder, links
// followed, and has the size and digest listed.
class Bundle {
 public:
  explicit Bundle(std::filesystem::path folder) : folder_(std::move(folder)) {
    if (std::error_code error; std::filesystem::is_regular_file(folder_, error)) {
      throw BundleError(folder_.string() + " is a file, expected a bundle folder; unpack it: unzip -q " +
                        folder_.string() + " -d FOLDER");
    }
    const auto path = inside("manifest.json");
    const Json manifest = Json::parse(read_bytes(path), path.string());
    const std::int64_t version = manifest.at("schema_version").integer();
    if (version != 1 && version != 2) {
      throw BundleError(path.string() + " has schema_version " + std::to_string(version) +
                        ", expected 1 or 2; use an example that reads it");
    }
    contract = Contract(manifest.at("contract"), version);
    if (const Json* entry = given(manifest, "decoding")) read_decoding(*entry);
    for (const Json& entry : manifest.at("artifacts").array()) {
      artifacts.push_back(read_artifact_entry(entry));
    }
    if (const Json* entry = given(manifest, "tokenizer")) {
      tokenizer_path = entry->at("path").string();
      tokenizer_kind = entry->at("kind").string();
      tokenizer_text = entry->at("text").string();
      tokenizer_ids = integers(entry->at("ids"));
    }
    for (const auto& [key, into] : {std::pair{"golden", &golden_path},
                                    {"sampler", &sampler_path},
                                    {"initial_state", &initial_state_path}}) {
      if (const Json* entry = given(manifest, key)) *into = entry->string();
    }
    for (const auto& [name, file] : manifest.at("files").object()) {
      verified(name, file.at("bytes").integer(), file.at("sha256").string());
      listed_.push_back(name);
    }
    read_stored();
  }

  // The bytes of a file that the manifest lists, and that was verified with it.
  std::string read(const std::string& name) const {
    for (const std::string& known : listed_) {
      if (known == name) return read_bytes(inside(name));
    }
    if (name.empty()) {
      throw BundleError("manifest.json names no file for this use; expected one; export the bundle again");
    }
    throw BundleError((folder_ / name).string() +
                      " is not among the files of the manifest; export the bundle again");
  }

  // Checks size and digest of a model file and what it asks for, and returns where it is.
  std::filesystem::path read_artifact(const Artifact& artifact) const {
    verified(artifact.path, artifact.bytes, artifact.sha256);
    if (artifact.format == "onnx") OnnxGuard::check(read_bytes(inside(artifact.path)), artifact.path);
    return inside(artifact.path);
  }

  // The artifact of `format` and `graph` at `path`, or where no path is given the first one that a runtime of
  // this version runs.
  const Artifact& choose(const std::string& format, const std::string& graph,
                         const std::optional<std::string>& path, const std::string& version = "") const {
    std::string known, needed;
    for (const Artifact& artifact : artifacts) {
      if (artifact.format != format || artifact.graph != graph) continue;
      known += (known.empty() ? "" : ", ") + artifact.path;
      if (path && *path != artifact.path) continue;
      const std::string& least = artifact.requires_runtime;
      if (version.empty() || least.empty() || is_new_enough(version, least)) return artifact;
      if (needed.empty() || is_new_enough(needed, least)) needed = least;
    }
    if (!needed.empty()) {
      throw BundleError(path.value_or("every " + graph + " file of the bundle") + " needs onnxruntime " +
                        needed + " or newer, this is " + version + "; update it or choose another artifact");
    }
    throw BundleError(folder_.string() + " has no " + format + " artifact of a " + graph + " graph" +
                (path ? " named " + *path : "") + "; this example runs " +
                (known.empty() ? "none of its artifacts: export the bundle with --to onnx" : known));
  }

  // Whether it writes text or captions.
  bool has_tokenizer() const { return !tokenizer_path.empty(); }

  Contract contract;
  State stored;  // the stored first values of states, of one row
  std::string initial_state_path, golden_path, sampler_path, tokenizer_path, tokenizer_kind, tokenizer_text;
  std::vector<std::int64_t> tokenizer_ids;
  Decoding decoding;
  std::vector<Artifact> artifacts;

 private:
  // A member that is there and not null.
  static const Json* given(const Json& entry, const std::string& key) {
    const Json* found = entry.find(key);
    return found != nullptr && !found->is_null() ? found : nullptr;
  }

  void read_stored() {
    Tensors file;
    for (const TensorSpec& state : contract.states()) {
      if (contract.first_of(state.name) != "stored") continue;
      if (file.empty()) file = read_safetensors(read(initial_state_path), initial_state_path);
      const auto found = file.find(state.name);
      if (found == file.end() || found->second.shape != contract.shape(state, open_as_one(state)) ||
          found->second.dtype().name != state.dtype) {
        throw BundleError(initial_state_path + " has no first value of " + state.name +
                          " as the contract says; export the bundle again");
      }
      stored[state.name] = found->second;
    }
  }

  Sizes open_as_one(const TensorSpec& state) const {
    Sizes open;
    contract.learn(state, Shape(state.axes.size(), 1), open);
    return open;
  }

  static std::vector<std::int64_t> integers(const Json& array) {
    std::vector<std::int64_t> found;
    for (const Json& value : array.array()) found.push_back(value.integer());
    return found;
  }

  void read_decoding(const Json& entry) {
    decoding.start = integers(entry.at("start"));
    decoding.stop = integers(entry.at("stop"));
    decoding.suppress = integers(entry.at("suppress"));
    decoding.temperature = entry.at("temperature").number();
    decoding.top_k = entry.at("top_k").integer();
    decoding.top_p = entry.at("top_p").number();
    decoding.length = entry.at("length").integer();
  }

  static Artifact read_artifact_entry(const Json& entry) {
    Artifact artifact;
    artifact.path = entry.at("path").string();
    artifact.format = entry.at("format").string();
    artifact.precision = entry.at("precision").string();
    artifact.graph = entry.at("graph").string();
    artifact.sha256 = entry.at("sha256").string();
    artifact.bytes = entry.at("bytes").integer();
    if (const Json* narrowing = given(entry, "narrowing")) {
      if (const Json* axes = narrowing->find("axes")) {
        for (const auto& [axis, size] : axes->object()) artifact.axes[axis] = size.integer();
      }
      if (const Json* dtypes = narrowing->find("dtypes")) {
        for (const auto& [tensor, dtype] : dtypes->object()) artifact.dtypes[tensor] = dtype.string();
      }
      if (const Json* kept = narrowing->find("runtime_state")) artifact.runtime_state = kept->boolean();
    }
    if (const Json* requires_all = entry.find("requires");
        requires_all != nullptr && requires_all->find("onnxruntime") != nullptr) {
      artifact.requires_runtime = requires_all->at("onnxruntime").string();
      if (artifact.requires_runtime.find_first_not_of("0123456789.") != std::string::npos ||
          artifact.requires_runtime.empty()) {
        throw BundleError(artifact.path + " requires onnxruntime " + artifact.requires_runtime +
                          ", which is no version; export again");
      }
    }
    read_promise(entry, artifact);
    return artifact;
  }

  // Before schema version 2 an artifact has no tolerance of its own: then it is the one that it was packed
  // with, and forced where its numbers are no floats.
  static void read_promise(const Json& entry, Artifact& artifact) {
    const Json *own = given(entry, "tolerance"), *forced = given(entry, "forced"),
               *parity = given(entry, "parity");
    if (own != nullptr) {
      artifact.tolerance = own->number();
      artifact.forced = forced != nullptr && forced->boolean();
    } else if (parity != nullptr) {
      artifact.tolerance = parity->at("tolerance").number();
      artifact.forced = artifact.precision.rfind("float", 0) != 0;
    }
    if (artifact.tolerance.value_or(0) < 0) {
      throw BundleError(artifact.path + " has a tolerance below 0; export the bundle again");
    }
  }

  // The place of a file in the folder; throws where its name or a link leads out of it.
  std::filesystem::path inside(const std::string& name) const {
    std::istringstream parts(name);
    bool within = !name.empty() && name.back() != '/' && name.find_first_of("\\:") == std::string::npos;
    for (std::string part; within && std::getline(parts, part, '/');) {
      within = !part.empty() && part != "." && part != "..";
    }
    std::error_code error;
    const auto root = std::filesystem::weakly_canonical(folder_, error),
               own = std::filesystem::weakly_canonical(root / name, error);
    within = within && !error &&
             std::mismatch(root.begin(), root.end(), own.begin(), own.end()).first == root.end();
    if (!within) {
      throw BundleError(
          "the manifest names " + name +
          ", which leads out of the bundle; expected a path inside the folder; copy the bundle again");
    }
    return folder_ / name;
  }

  void verified(const std::string& name, std::int64_t bytes, const std::string& digest) const {
    const std::filesystem::path path = inside(name);
    const std::string found = read_bytes(path);
    const std::string where = path.string();
    if (found.size() != static_cast<std::size_t>(bytes)) {
      throw BundleError(where + " has " + std::to_string(found.size()) + " bytes, expected " +
                        std::to_string(bytes) + "; copy the bundle again");
    }
    if (const std::string own = sha256(found); own != digest) {
      throw BundleError(where + " has the SHA-256 " + own.substr(0, 12) + "…, expected " +
                        digest.substr(0, 12) + "…; copy the bundle again");
    }
  }

  std::filesystem::path folder_;
  std::vector<std::string> listed_;
};

}  // namespace edgernn
