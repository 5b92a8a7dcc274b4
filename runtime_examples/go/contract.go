package edgernn

import (
	"encoding/json/jsontext"
	"slices"
	"strings"
)

const batchAxis, timeAxis, layersAxis = "batch", "time", "layers"

// TensorSpec is one tensor of a graph.
type TensorSpec struct {
	Name  string   `json:"name"`
	Role  string   `json:"role"` // input, context, state or output
	Dtype string   `json:"dtype"`
	Axes  []string `json:"axes"`
	Below string   `json:"below"` // the axis whose size bounds its values
}

// Graph says what goes in and what comes out.
type Graph struct {
	Name    string       `json:"name"`
	Inputs  []TensorSpec `json:"inputs"`
	Outputs []TensorSpec `json:"outputs"`
}

type rawContract struct {
	Graphs        []Graph        `json:"graphs"`
	Sizes         map[string]int `json:"sizes"`
	InitialState  jsontext.Value `json:"initial_state"`
	StepFrames    *int           `json:"step_frames"`
	LatencyFrames *uint          `json:"latency_frames"`
}

// Contract says which tensors go into and come out of each graph. Nothing is found by the name of a tensor.
type Contract struct {
	Step       Graph
	Encode     *Graph // runs once before the first step, where there is one
	Sizes      map[string]int
	StepFrames int               // along time, of one step
	First      map[string]string // of states that do not begin with zeros: stored or encode
}

func nextName(state string) string {
	return state + "_next"
}

// newContract refuses what does not hold together.
func newContract(raw rawContract, version int64) (*Contract, error) {
	made := &Contract{Sizes: raw.Sizes, StepFrames: 1}
	if raw.StepFrames != nil {
		made.StepFrames = *raw.StepFrames
	}
	graphs := map[string]Graph{}
	for _, graph := range raw.Graphs {
		if _, twice := graphs[graph.Name]; twice {
			return nil, refuse("%s has two graphs named %s; export the bundle again", manifestName, graph.Name)
		}
		if err := graph.check(); err != nil {
			return nil, err
		}
		graphs[graph.Name] = graph
	}
	step, there := graphs["step"]
	if !there {
		return nil, refuse("%s has no graph named step; export the bundle again", manifestName)
	}
	made.Step = step
	if encode, there := graphs["encode"]; there {
		made.Encode = &encode
	}
	for _, check := range []func() error{
		func() error { return made.readFirst(raw.InitialState, version) }, made.checkSizes, made.checkStates, made.checkEncode,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (g Graph) check() error {
	for _, side := range [][]TensorSpec{g.Inputs, g.Outputs} {
		names := map[string]bool{}
		for _, spec := range side {
			axes := slices.Compact(slices.Sorted(slices.Values(spec.Axes)))
			role := slices.Contains([]string{"input", "context", "state", "output"}, spec.Role)
			if names[spec.Name] || spec.Name == "" || len(axes) != len(spec.Axes) || spec.Axes == nil || !role {
				return refuse("the graph %s has the tensor %q, %s with the axes %v, expected a name, a role and each axis once; "+
					"export the bundle again", g.Name, spec.Name, spec.Role, spec.Axes)
			}
			if widths[spec.Dtype] == 0 {
				return refuse("%s is %q, expected bool, uint8, int8 to int64 or float16 to float64; use a host that reads it",
					spec.Name, spec.Dtype)
			}
			names[spec.Name] = true
		}
	}
	return nil
}

func of(specs []TensorSpec, role string) []TensorSpec {
	var found []TensorSpec
	for _, spec := range specs {
		if spec.Role == role {
			found = append(found, spec)
		}
	}
	return found
}

// shape returns that of a tensor in a run. Without a size of its own, batch is one row and time the frames of a step.
func (c *Contract) shape(spec TensorSpec, run map[string]int) ([]int, error) {
	shape := make([]int, len(spec.Axes))
	for at, axis := range spec.Axes {
		size, sized := c.Sizes[axis]
		chosen, known := run[axis]
		switch {
		case sized:
			shape[at] = size
		case known:
			shape[at] = chosen
		case axis == batchAxis:
			shape[at] = 1
		case axis == timeAxis:
			shape[at] = c.StepFrames
		default:
			return nil, refuse("the contract gives no size to the axis %s; export the bundle again", axis)
		}
	}
	return shape, nil
}

// learn takes from a tensor's shape what it says of open axes that are not known yet.
func (c *Contract) learn(spec TensorSpec, shape []int, run map[string]int) {
	for at, axis := range spec.Axes {
		_, sized := c.Sizes[axis]
		if _, known := run[axis]; !sized && !known && len(shape) == len(spec.Axes) {
			run[axis] = shape[at]
		}
	}
}

// IDs returns the fresh input of step that takes token ids, or nil.
func (c *Contract) IDs() *TensorSpec {
	for _, spec := range of(c.Step.Inputs, "input") {
		if spec.Below != "" && strings.Contains(spec.Dtype, "int") {
			return &spec
		}
	}
	return nil
}

// Scores returns the output of step that rates every id, or nil.
func (c *Contract) Scores() *TensorSpec {
	ids := c.IDs()
	for _, spec := range of(c.Step.Outputs, "output") {
		if ids != nil && len(spec.Axes) > 0 && spec.Axes[len(spec.Axes)-1] == ids.Below {
			return &spec
		}
	}
	return nil
}

// Vocabulary returns how many ids there are; 0 where step takes none.
func (c *Contract) Vocabulary() int {
	if ids := c.IDs(); ids != nil {
		return c.Sizes[ids.Below]
	}
	return 0
}

func (c *Contract) readFirst(raw jsontext.Value, version int64) error {
	c.First = map[string]string{}
	var word string
	switch {
	case version == 1 && readJSON(raw, &word, manifestName) == nil:
		for _, spec := range of(c.Step.Inputs, "state") {
			if word != "zeros" {
				c.First[spec.Name] = strings.Replace(word, "learned", "stored", 1)
			}
		}
	case version == 1:
		return refuse("%s has the initial_state %s, expected a word; export the bundle again", manifestName, raw)
	case raw != nil:
		if err := readJSON(raw, &c.First, manifestName+": initial_state"); err != nil {
			return err
		}
	}
	for name, start := range c.First {
		is := func(spec TensorSpec) bool { return spec.Name == name }
		if (start != "stored" && start != "encode") || !slices.ContainsFunc(of(c.Step.Inputs, "state"), is) {
			return refuse("initial_state begins %s with %s, expected a state that is stored or that encode gives; "+
				"export the bundle again", name, start)
		}
	}
	return nil
}

func (c *Contract) checkSizes() error {
	for axis, size := range c.Sizes {
		if size < 1 {
			return refuse("%s gives the axis %s the size %d, expected 1 or more; export the bundle again", manifestName, axis, size)
		}
	}
	if c.StepFrames < 1 {
		return refuse("%s has a step of %d frames, expected 1 or more; export the bundle again", manifestName, c.StepFrames)
	}
	chosen, all := of(c.Step.Inputs, "context"), slices.Concat(c.Step.Inputs, c.Step.Outputs)
	if c.Encode != nil {
		chosen = append(chosen, c.Encode.Inputs...)
		all = slices.Concat(all, c.Encode.Inputs, c.Encode.Outputs)
	}
	open := map[string]int{}
	for _, spec := range chosen {
		c.learn(spec, slices.Repeat([]int{1}, len(spec.Axes)), open)
	}
	for _, spec := range all {
		shape, err := c.shape(spec, open)
		if err == nil {
			_, err = elementCount(shape)
		}
		if err != nil {
			return err
		}
		if spec.Below != "" && c.Sizes[spec.Below] == 0 {
			return refuse("%s bounds %s by an axis without a size; export the bundle again", manifestName, spec.Name)
		}
	}
	return nil
}

func (c *Contract) checkStates() error {
	taken, given := of(c.Step.Inputs, "state"), of(c.Step.Outputs, "state")
	for _, state := range taken {
		if found := named(given, nextName(state.Name)); found == nil || !same(*found, state) {
			return refuse("the step takes the state %s and does not return it as %s; export the bundle again",
				state.Name, nextName(state.Name))
		}
	}
	if len(taken) != len(given) {
		return refuse("the step takes %d states and returns %d, expected the same; export the bundle again", len(taken), len(given))
	}
	return nil
}

// checkEncode makes sure that encode gives every context, and the first states that are its.
func (c *Contract) checkEncode() error {
	var made []TensorSpec
	if c.Encode != nil {
		made = c.Encode.Outputs
	}
	for _, spec := range c.Step.Inputs {
		if spec.Role != "context" && c.First[spec.Name] != "encode" {
			continue
		}
		if found := named(made, spec.Name); found == nil || !same(*found, spec) {
			return refuse("no encode graph gives %s as the step takes it; export the bundle again", spec.Name)
		}
	}
	return nil
}

func named(specs []TensorSpec, name string) *TensorSpec {
	at := slices.IndexFunc(specs, func(spec TensorSpec) bool { return spec.Name == name })
	if at < 0 {
		return nil
	}
	return &specs[at]
}

func same(one, other TensorSpec) bool {
	return one.Dtype == other.Dtype && slices.Equal(one.Axes, other.Axes)
}
