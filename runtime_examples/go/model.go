package edgernn

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"
)

// Network is a bundle's C that was compiled in: the step alone, on a block of memory.
type Network interface {
	// Artifact and SHA256 are the path and the digest, in the manifest, of what was compiled.
	Artifact() string
	SHA256() string
	// Bytes of a block; its first StateBytes are the state.
	Bytes() int
	StateBytes() int
	Places() []Place
	// Step reads inputs and state of a block, and writes outputs and the next state there. It returns 0, or what the
	// header of the step says, and then nothing was written.
	Step(block *byte) int
}

// Place is where a tensor lies in a block.
type Place struct {
	Name, Dtype   string
	State         bool
	Offset, Bytes int
	Shape         []int
}

// Model is a bundle and its step.
type Model struct {
	Bundle   *Bundle
	Artifact Artifact
	network  Network
	places   map[string]Place // a state stands there as NAME and as NAME_next
	blocks   sync.Pool
}

// Load opens a bundle, a folder or a .edgernn file, whose C was compiled in as the network.
//
// The artifact is the path of a step in C; "" takes that of the network.
func Load(place, artifact string, network Network) (*Model, error) {
	bundle, err := Open(place)
	if err != nil {
		return nil, err
	}
	own := func(each Artifact) bool { return each.Format == "c" && each.Graph == "step" }
	var steps []Artifact
	for _, each := range bundle.Manifest.Artifacts {
		if own(each) && (artifact == "" || each.Path == artifact) {
			steps = append(steps, each)
		}
	}
	if len(steps) == 0 {
		return nil, refuse("the bundle has no artifact %s of a step in C, expected one; export it with --to c", artifact)
	}
	at := slices.IndexFunc(steps, func(each Artifact) bool { return each.SHA256 == network.SHA256() })
	if at < 0 {
		return nil, refuse("this program was compiled with a %s of the SHA-256 %.12s…, expected %.12s… of %s; "+
			"compile it with this bundle: go run ./cmd/prepare BUNDLE", network.Artifact(), network.SHA256(), steps[0].SHA256, steps[0].Path)
	}
	model := &Model{Bundle: bundle, Artifact: steps[at], network: network, places: map[string]Place{}}
	model.blocks.New = func() any { return model.NewBlock() }
	return model, model.place()
}

// place finds each tensor of step in a block, and refuses a file that fixes what this host leaves open.
func (m *Model) place() error {
	contract, fixed := m.Bundle.Manifest.Contract, m.Artifact.Narrowing
	for axis, wanted := range map[string]int{timeAxis: contract.StepFrames, batchAxis: 1} {
		if size, there := fixed.Axes[axis]; there && size != wanted {
			return refuse("%s takes only %d along %s, expected %d; choose another artifact", m.Artifact.Path, size, axis, wanted)
		}
	}
	for name, dtype := range fixed.Dtypes {
		return refuse("%s takes %s as %s, and this host converts no dtype; choose another artifact", m.Artifact.Path, name, dtype)
	}
	if fixed.RuntimeState {
		return refuse("%s keeps the state itself; choose another artifact", m.Artifact.Path)
	}
	for _, each := range m.network.Places() {
		m.places[each.Name] = each
		if each.State {
			m.places[nextName(each.Name)] = each
		}
	}
	for _, spec := range slices.Concat(contract.Step.Inputs, contract.Step.Outputs) {
		shape, err := contract.shape(spec, m.sizes(spec))
		own, there := m.places[spec.Name]
		if err != nil || !there || own.Dtype != spec.Dtype || !slices.Equal(own.Shape, shape) {
			return refuse("what was compiled has no %s of %s %v, as %s says; compile it with this bundle",
				spec.Name, spec.Dtype, shape, manifestName)
		}
	}
	return nil
}

// sizes returns the open axes that encode chooses, as they were compiled.
func (m *Model) sizes(spec TensorSpec) map[string]int {
	sizes := map[string]int{}
	m.Bundle.Manifest.Contract.learn(spec, m.places[spec.Name].Shape, sizes)
	delete(sizes, batchAxis)
	delete(sizes, timeAxis)
	return sizes
}

// Begin returns how a sequence begins: contexts for every step, and the state before the first. A state begins with
// its stored value or with zeros, as the contract says. A bundle's C is its step alone: of a model with an encode
// graph, encoded is what that gave on another runtime, contexts and first states by name; else nil.
func (m *Model) Begin(encoded Tensors) (contexts, state Tensors, err error) {
	contract := m.Bundle.Manifest.Contract
	if contract.Encode == nil && len(encoded) > 0 {
		return nil, nil, refuse("a sequence of this model begins with nothing, and %d tensors were given; leave them out", len(encoded))
	}
	contexts, state = Tensors{}, Tensors{}
	for _, spec := range contract.Step.Inputs {
		given, there := encoded[spec.Name]
		stored, kept := m.Bundle.stored[spec.Name]
		switch {
		case spec.Role == "input":
			continue
		case spec.Role == "context" || contract.First[spec.Name] == "encode":
			if !there {
				return nil, nil, refuse("encode gives %s, and its step alone was compiled; give what another runtime made", spec.Name)
			}
		case kept:
			given = stored
		default:
			if given, err = NewTensor(spec.Dtype, m.places[spec.Name].Shape...); err != nil {
				return nil, nil, err
			}
		}
		if err := m.check(spec, given); err != nil {
			return nil, nil, err
		}
		if spec.Role == "context" {
			contexts[spec.Name] = given
		} else {
			state[spec.Name] = given
		}
	}
	return contexts, state, nil
}

// Step runs one step. The inputs are every fresh input and every context; nothing that is given is changed.
func (m *Model) Step(inputs, state Tensors) (outputs, next Tensors, err error) {
	block := m.blocks.Get().(*Block)
	defer m.blocks.Put(block)
	contract := m.Bundle.Manifest.Contract
	for _, spec := range contract.Step.Inputs {
		given, there := inputs[spec.Name]
		if spec.Role == "state" {
			given, there = state[spec.Name]
		}
		if !there {
			return nil, nil, refuse("%s is missing; give every input, context and state", spec.Name)
		}
		if err := m.check(spec, given); err != nil {
			return nil, nil, err
		}
		copy(block.Bytes(spec.Name), given.Bytes)
	}
	if err := block.Step(); err != nil {
		return nil, nil, err
	}
	outputs, next = Tensors{}, Tensors{}
	for _, spec := range contract.Step.Outputs {
		own := m.places[spec.Name]
		made := Tensor{own.Dtype, own.Shape, slices.Clone(block.Bytes(spec.Name))}
		if spec.Role == "state" {
			next[own.Name] = made
		} else {
			outputs[spec.Name] = made
		}
	}
	return outputs, next, nil
}

func (m *Model) check(spec TensorSpec, given Tensor) error {
	own := m.places[spec.Name]
	if given.Dtype != own.Dtype || !slices.Equal(given.Shape, own.Shape) || len(given.Bytes) != own.Bytes {
		return refuse("%s is %s %v, expected %s %v; give what was compiled", spec.Name, given.Dtype, given.Shape, own.Dtype, own.Shape)
	}
	return nil
}

// Block is the memory of a step, for whoever needs the last microseconds: no maps, no copies. Its bytes keep their
// place.
type Block struct {
	model *Model
	words []uint64 // aligned for every dtype
	bytes []byte
}

// NewBlock returns a block whose state is zeros.
func (m *Model) NewBlock() *Block {
	words := make([]uint64, (m.network.Bytes()+7)/8)
	return &Block{m, words, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), m.network.Bytes())}
}

// Bytes returns the place of a tensor of step; a state stands there before and after it.
func (b *Block) Bytes(name string) []byte {
	own := b.model.places[name]
	return b.bytes[own.Offset : own.Offset+own.Bytes]
}

// State returns the place of the whole state: a copy of it is a fork.
func (b *Block) State() []byte {
	return b.bytes[:b.model.network.StateBytes()]
}

// Step reads inputs and state of the block, and writes outputs and the next state there.
func (b *Block) Step() error {
	switch code := b.model.network.Step(unsafe.SliceData(b.bytes)); code {
	case 0:
		return nil
	case 2:
		return refuse("the step refuses an id that is out of its range; give one of the model's own")
	default:
		return refuse("the step refuses its inputs with %s; see its header", fmt.Sprint(code))
	}
}
