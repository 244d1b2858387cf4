package record

import "reflect"

// Fields is how many fields a record can have that are known.
func Fields() (n int) {
	for f := range reflect.TypeFor[members]().Fields() {
		if f.Type == reflect.TypeFor[raw]() {
			n++
		}
	}
	return n
}
