// A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.
#pragma once

#include <memory>
#include <optional>

#include "bundle.hpp"

namespace edgernn {

struct Results {
  Tensors outputs;  // what the caller reads, by name
  State state;      // after the step: give it to the next one
};

// How a sequence begins.
struct Begun {
  Tensors contexts;  // for every step
  State state;       // before the first step
};

// An opened bundle. What it takes and gives is read from the contract; no name or shape stands in the code.
// `load` gives the one of ONNX Runtime; tests have one of their own.
class Model {
 public:
  // Opens a bundle folder. Without `artifact` it is the first ONNX step of the manifest.
  // Throws BundleError: see bundle.hpp, and where ONNX Runtime cannot open the file.
  static std::unique_ptr<Model> load(const std::filesystem::path& folder,
                                     const std::optional<std::string>& artifact = {});

  explicit Model(Bundle opened) : bundle(std::move(opened)) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Begins a sequence. `inputs`: every input of encode where the model has that graph, which then says how
  // many rows there are; else nothing, and there are `batch` rows. A state begins with what encode gives,
  // with its stored value in every row, or with zeros, each as the contract says.
  Begun begin(const Tensors& inputs = {}, std::int64_t batch = 1) const;

  // Runs one step, or several where the artifact's time axis is open.
  // inputs: every fresh input and every context. Throws BundleError where the runtime refuses.
  virtual Results step(const Tensors& inputs, const State& state) const = 0;

  // `state` with row `other_row` of another state in place of `row`, so that a row begins again, goes back or
  // goes on in another place. A state without rows stays as it is. Throws BundleError: there is no such row.
  State set_row(State state, std::int64_t row, const State& other, std::int64_t other_row = 0) const;

  // Runs the encode graph once; everything that it gives, by name.
  virtual Tensors encode(const Tensors& inputs) const = 0;

  virtual const Artifact& artifact() const = 0;

  // Whether several time steps may go in at once.
  bool open_time() const { return !bundle.contract.sizes.count(kTime) && !artifact().axes.count(kTime); }

  const Bundle bundle;
};

inline Begun Model::begin(const Tensors& inputs, std::int64_t batch) const {
  const Contract& contract = bundle.contract;
  const bool encodes = contract.encodes();
  if (batch < 1 || (!encodes && !inputs.empty())) {
    throw BundleError(
        "a sequence begins with " + std::to_string(inputs.size()) + " inputs and " + std::to_string(batch) +
        " rows, expected what the contract says encode takes, if there is encode, and 1 row or more");
  }
  Begun begun;
  Sizes sizes;
  Tensors made = encodes ? encode(inputs) : Tensors{};
  if (encodes) {
    for (const TensorSpec& given : contract.graph("encode").inputs) {
      contract.learn(given, inputs.at(given.name).shape, sizes);
    }
  } else {
    sizes[kBatch] = batch;
  }
  for (const TensorSpec& context : Graph::with_role(contract.graph("step").inputs, "context")) {
    Tensor& own = begun.contexts[context.name] = std::move(made.at(context.name));
    contract.learn(context, own.shape, sizes);
  }
  for (const TensorSpec& state : contract.states()) {
    const std::string first = contract.first_of(state.name);
    const auto axis = static_cast<std::size_t>(std::find(state.axes.begin(), state.axes.end(), kBatch) -
                                               state.axes.begin());
    begun.state[state.name] =
        first == "encode" ? std::move(made.at(state.name))
        : first == "stored"
            ? bundle.stored.at(state.name).repeated(axis, sizes.emplace(kBatch, 1).first->second)
            : zeros(state.dtype, contract.shape(state, sizes));
  }
  return begun;
}

inline State Model::set_row(State state, std::int64_t row, const State& other, std::int64_t other_row) const {
  for (const TensorSpec& spec : bundle.contract.states()) {
    const auto axis =
        static_cast<std::size_t>(std::find(spec.axes.begin(), spec.axes.end(), kBatch) - spec.axes.begin());
    if (spec.has(kBatch)) state.at(spec.name).set_place(axis, row, other.at(spec.name), other_row);
  }
  return state;
}

}  // namespace edgernn
