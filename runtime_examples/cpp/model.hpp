// A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.
#pragma once

#include <memory>
#include <optional>

#include "bundle.hpp"
#include "safetensors.hpp"

namespace edgernn {

struct Results {
  Tensors outputs;  // what the caller reads, by name
  State state;      // after the step: give it to the next one
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
  // inputs: the tokens [1, T] and every context. Throws BundleError where the runtime refuses.
  virtual Results step(const Tensors& inputs, const State& state) const = 0;

  // Runs a captioner's encode graph once: contexts in `outputs`, first states in `state`.
  virtual Results encode(const Tensor& image) const = 0;

  virtual const Artifact& artifact() const = 0;

  // The state before the first step: zeros, or the values in the bundle. A captioner's comes from `encode`.
  State initial_state() const {
    if (bundle.initial_state == "encode") throw BundleError("the first state of this model comes from a picture; call encode");
    State state;
    const bool learned = bundle.initial_state == "learned";
    if (learned) state = read_safetensors(bundle.read(bundle.initial_state_path), bundle.initial_state_path);
    for (const TensorSpec& spec : Graph::with_role(bundle.graph("step").inputs, "state")) {
      const Shape shape = bundle.shape(spec);
      if (!learned) state[spec.name] = {shape, std::vector<float>(element_count(shape))};
      else if (state[spec.name].shape != shape) throw BundleError("the learned first state of " + spec.name + " has another shape");
    }
    return state;
  }

  // Whether several time steps may go in at once.
  bool open_time() const { return !bundle.sizes.count("time") && !artifact().axes.count("time"); }

  const Bundle bundle;
};

}  // namespace edgernn
