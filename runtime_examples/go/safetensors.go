package edgernn

import (
	"encoding/binary"
	"encoding/json/jsontext"
)

// storedAs has the contract's name of each dtype of a safetensors file.
var storedAs = map[string]string{
	"BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
	"F16": "float16", "F32": "float32", "F64": "float64",
}

type storedTensor struct {
	Dtype   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// readSafetensors reads 8 bytes of little-endian header length, a JSON header, and the tensors' bytes.
func readSafetensors(file []byte, source string) (Tensors, error) {
	if len(file) < 8 || binary.LittleEndian.Uint64(file) > uint64(len(file)-8) {
		return nil, refuse("%s is no safetensors file: its header does not fit into its %d bytes; export the bundle again",
			source, len(file))
	}
	end := 8 + int(binary.LittleEndian.Uint64(file))
	var header map[string]jsontext.Value
	if err := readJSON(file[8:end], &header, source); err != nil {
		return nil, err
	}
	delete(header, "__metadata__")
	made, body := Tensors{}, file[end:]
	for name, raw := range header {
		var entry storedTensor
		if err := readJSON(raw, &entry, source+": "+name); err != nil {
			return nil, err
		}
		count, err := elementCount(entry.Shape)
		from, to, dtype := entry.Offsets[0], entry.Offsets[1], storedAs[entry.Dtype]
		if err != nil || dtype == "" || from < 0 || to > len(body) || to-from != count*widths[dtype] {
			return nil, refuse("%s has %s elsewhere than its dtype %q and shape %v say; export the bundle again",
				source, name, entry.Dtype, entry.Shape)
		}
		made[name] = Tensor{dtype, entry.Shape, body[from:to]}
	}
	return made, nil
}
