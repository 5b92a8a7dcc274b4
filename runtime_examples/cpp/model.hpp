// A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.
#pragma once

#include <memory>
#include <optional>

#include "bundle.hpp"

namespace edgernn {

struct Results {
  Tensors outputs;  // what the caller reads, by name
  State state;      // after the step: give it to the next one; after encode: all first states
};

// An opened bundle. What it takes and gives is read from the contract; no name or shape stands in the code. `load` gives the one of
// ONNX Runtime; tests have one of their own.
class Model {
 public:
  // Opens a bundle folder. Without `artifact` it is the first ONNX step of the manifest.
  // Throws BundleError: see bundle.hpp, and where ONNX Runtime cannot open the file.
  static std::unique_ptr<Model> load(const std::filesystem::path& folder, const std::optional<std::string>& artifact = {});

  explicit Model(Bundle opened) : bundle(std::move(opened)) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Runs one step, or several where the artifact's time axis is open.
  // inputs: every fresh input and every context, of one row. Throws BundleError where the runtime refuses.
  virtual Results step(const Tensors& inputs, const State& state) const = 0;

  // Runs the encode graph once: contexts in `outputs`, the first state in `state`: zeros, stored, or what it gives.
  virtual Results encode(const Tensors& inputs) const = 0;

  virtual const Artifact& artifact() const = 0;

  // The state before the first step: zeros, or the values in the bundle.
  State initial_state() const {
    for (const auto& [name, word] : bundle.contract.initial_state) {
      if (word == "encode") throw BundleError("the first value of " + name + " comes from what the model looks at; call encode");
    }
    return bundle.first_state;
  }

  // Whether several time steps may go in at once.
  bool open_time() const { return !bundle.contract.sizes.count(kTime) && !artifact().axes.count(kTime); }

  const Bundle bundle;
};

}  // namespace edgernn
