// The only file that knows ExecuTorch: the model of ../cpp over a .pte file. It stands in the place of
// ../cpp/model.cpp.
#include "../cpp/model.hpp"

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/extension/threadpool/threadpool_guard.h>

namespace edgernn {

namespace {

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;

constexpr char kForward[] = "forward", kContract[] = "edgernn";

// As ExecuTorch calls the dtypes of Values, each at the place of its alternative.
constexpr ScalarType kTypes[] = {ScalarType::Float, ScalarType::Double, ScalarType::Half,
                                 ScalarType::Bool,  ScalarType::Byte,   ScalarType::Char,
                                 ScalarType::Short, ScalarType::Int,    ScalarType::Long};

void require(Error error, const std::string& what) {
  if (error == Error::Ok) return;
  throw BundleError(what + " (ExecuTorch's error " + std::to_string(static_cast<int>(error)) +
                    "); export the bundle again, or use the version of ExecuTorch that the manifest names");
}

// One .pte file. It has no names: inputs and outputs stand in the contract's order.
struct PteFile {
  PteFile(const Bundle& bundle, const Artifact& artifact)
      : spec(bundle.contract.graph(artifact.graph)), path(artifact.path) {
    for (const auto& [axis, size] : artifact.axes) {
      const std::int64_t wanted = axis == kTime ? bundle.contract.step_frames : 1;
      if ((axis == kTime || axis == kBatch) && size != wanted) {
        throw BundleError(path + " takes only " + std::to_string(size) + " along " + axis + ", expected " +
                          std::to_string(wanted) + "; choose another artifact");
      }
    }
    executorch::extension::threadpool::NoThreadPoolGuard alone;  // one step is small: one thread
    module = std::make_unique<Module>(bundle.read_artifact(artifact).string());
    require(module->load_method(kForward), "ExecuTorch cannot open " + path);
    auto meta = module->method_meta(kForward);
    require(meta.error(), path + " cannot be described");
    if (meta->num_inputs() != spec.inputs.size() || meta->num_outputs() != spec.outputs.size()) {
      throw BundleError(path + " takes " + std::to_string(meta->num_inputs()) + " tensors and gives " +
                        std::to_string(meta->num_outputs()) + ", expected " +
                        std::to_string(spec.inputs.size()) + " and " + std::to_string(spec.outputs.size()) +
                        "; export the bundle again");
    }
    auto said = module->execute(kContract);
    require(said.error(), path + " says no contract");
    const std::string text(said->at(0).toString());
    Json::parse(text, path);  // throws where it is damaged; that it is the manifest's own, verify proves
  }

  Tensors run(const Contract& contract, const Tensors& given) {
    std::vector<executorch::extension::TensorPtr> held;
    std::vector<EValue> values;
    for (const TensorSpec& tensor : spec.inputs) {
      const auto found = given.find(tensor.name);
      if (found == given.end()) {
        throw BundleError("the input " + tensor.name + " is missing; give every input, context and state");
      }
      const Tensor& own = found->second;
      check(contract, tensor, own);
      held.push_back(over(own));
      values.emplace_back(*held.back());
    }
    executorch::extension::threadpool::NoThreadPoolGuard alone;
    auto made = module->execute(kForward, values);
    require(made.error(), path + " does not run");
    Tensors results;
    for (std::size_t index = 0; index < spec.outputs.size(); ++index) {
      const TensorSpec& tensor = spec.outputs[index];
      const auto& found = made->at(index).toTensor();
      const std::size_t dtype = dtype_at(tensor.dtype, false, tensor.name);
      if (found.scalar_type() != kTypes[dtype]) {
        throw BundleError("the model gives " + tensor.name + " in another dtype than " + tensor.dtype +
                          "; export the bundle again");
      }
      const Shape shape(found.sizes().begin(), found.sizes().end());
      // a copy: what was returned lies in memory that the next call writes
      Tensor& own = results[tensor.name] = {shape, to_values(dtype, found.const_data_ptr(), element_count(shape))};
      check(contract, tensor, own);
    }
    return results;
  }

  // A tensor over the values of `tensor`, which ExecuTorch only reads.
  static executorch::extension::TensorPtr over(const Tensor& tensor) {
    const std::vector<executorch::aten::SizesType> sizes(tensor.shape.begin(), tensor.shape.end());
    const auto borrow = [&](const auto& all) {
      void* data = const_cast<void*>(static_cast<const void*>(all.data()));
      return executorch::extension::from_blob(data, sizes, kTypes[tensor.values.index()]);
    };
    return std::visit(borrow, tensor.values);
  }

  static void check(const Contract& contract, const TensorSpec& spec, const Tensor& tensor) {
    if (const Shape expected = contract.shape(spec);
        tensor.shape != expected || tensor.dtype().name != spec.dtype) {
      throw BundleError(spec.name + " is " + tensor.dtype().name + " " + to_text(tensor.shape) +
                        ", expected " + spec.dtype + " " + to_text(expected) +
                        "; give what the contract says, one row and one step");
    }
  }

  Graph spec;
  std::string path;
  std::unique_ptr<Module> module;
};

class PteModel : public Model {
 public:
  PteModel(Bundle opened, const Artifact& chosen)
      : Model(std::move(opened)), artifact_(chosen), step_(bundle, artifact_) {
    if (bundle.contract.encodes()) encode_.emplace(bundle, bundle.choose("executorch", "encode", {}));
  }

  Results step(const Tensors& inputs, const State& state) const override {
    Tensors given = inputs;
    given.insert(state.begin(), state.end());
    Results results;
    results.outputs = step_.run(bundle.contract, given);
    for (const TensorSpec& before : bundle.contract.states()) {
      results.state[before.name] = std::move(results.outputs.extract(next_name(before.name)).mapped());
    }
    return results;
  }

  Tensors encode(const Tensors& inputs) const override {
    if (!encode_) {
      throw BundleError(
          "this bundle has no encode graph; give the bundle of a model that looks at something first");
    }
    return encode_->run(bundle.contract, inputs);
  }

  const Artifact& artifact() const override { return artifact_; }

 private:
  Artifact artifact_;
  mutable PteFile step_;  // running one changes nothing that a caller sees
  mutable std::optional<PteFile> encode_;
};

}  // namespace

std::unique_ptr<Model> Model::load(const std::filesystem::path& folder,
                                   const std::optional<std::string>& artifact) {
  Bundle bundle(folder);
  const Artifact chosen = bundle.choose("executorch", "step", artifact);
  return std::make_unique<PteModel>(std::move(bundle), chosen);
}

}  // namespace edgernn
