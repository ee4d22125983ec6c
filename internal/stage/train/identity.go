package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"barka/internal/durable"
)

// identity is what must be the same for a run to be continued.
type identity struct {
	Version int             `json:"version"`
	Options json.RawMessage `json:"options"`
	Seed    int64           `json:"seed"`
	Model   string          `json:"model"`
	Chat    string          `json:"chat,omitempty"` // digest of the chat template and its options
	Data    string          `json:"data"`
	Val     string          `json:"val,omitempty"`
	// Adapter has the digests of the files of the adapter that the run continues.
	Adapter map[string]string `json:"adapter,omitempty"`
	// More are the further datasets. Weights are those of datasets that are not 1.
	More    []string `json:"more,omitempty"`
	Weights []string `json:"weights,omitempty"`
	// Devices are the kinds of device that the run was on, in order, if several. Model names the first.
	Devices []string `json:"devices,omitempty"`

	anyDevice bool // differences of the device do not count
}

// refuse returns a badinput error that names what differs, if anything does.
func refuse(dir, state string, then, now identity) error {
	diff := then.differences(now)
	if len(diff) == 0 {
		return nil
	}
	remedy := durable.RestartOrElsewhere
	if now.anyDevice = true; len(then.differences(now)) == 0 {
		remedy = "give --allow-other-device to go on with it there, with other bits than on one device, " + remedy
	}
	return durable.Refusal(dir, state, diff, remedy)
}

// lengths are the options that say how long a run is.
var lengths = []string{"epochs", "max_steps"}

// course returns the identity without the length of the run. Checkpoints belong to it: a
// longer run goes on from those of a shorter one.
func (a identity) course() (identity, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(a.Options, &all); err != nil {
		return a, err
	}
	for _, name := range lengths {
		delete(all, name)
	}
	var err error
	a.Options, err = json.Marshal(all)
	a.Devices = nil
	return a, err
}

// extendedBy reports whether now is the finished run with more epochs or steps.
func (s *standing) extendedBy(now identity) bool {
	var o Options
	if s.state == nil || json.Unmarshal(now.Options, &o) != nil {
		return false
	}
	a, errA := s.course()
	b, errB := now.course()
	longer := o.Epochs > s.state.Epochs
	if o.MaxSteps > 0 {
		longer = o.MaxSteps > s.state.Steps
	}
	return longer && errA == nil && errB == nil && len(a.differences(b)) == 0
}

func (a identity) differences(b identity) []string {
	if a.Version < b.Version {
		return []string{fmt.Sprintf("stage version was %d and is now %d (%s)", a.Version, b.Version, changed)}
	}
	was, is := a.settings(), b.settings()
	if sameModel(was["model"], is["model"]) {
		is["model"] = was["model"]
	}
	if a.anyDevice || b.anyDevice {
		delete(was, "device")
		delete(is, "device")
	}
	return was.Differences(is)
}

// sameModel compares the digests of models without their devices. Earlier versions of barka train left
// the type out, which the options name too.
func sameModel(was, is string) bool {
	return was == is || strings.HasPrefix(is, was+"-") && !strings.HasPrefix(is, was+"-i8")
}

// splitDevice takes the kind of device out of a model's digest, into which backend.Engine.Digest has
// put that of a GPU.
func splitDevice(digest string) (rest, kind string) {
	const gpu = "cuda"
	if before, after, ok := strings.Cut(digest, "-"+gpu+"-"); ok {
		return before + "-" + after, gpu
	}
	return digest, hostKind
}

// hostKind is the kind of device that a digest does not name.
const hostKind = "cpu"

// devices returns the kinds of device that the run was on.
func (a identity) devices() []string {
	if len(a.Devices) > 0 {
		return a.Devices
	}
	_, kind := splitDevice(a.Model)
	return []string{kind}
}

// afterAny returns the identity after what has begun, or else after what is finished.
func (a identity) afterAny(begun *durable.Begun, then identity, there *standing) identity {
	switch {
	case begun != nil:
		return a.after(then)
	case there != nil:
		return a.after(there.identity)
	}
	return a
}

// after returns the identity of the run that then describes, continued on the device of a. If it is
// another model's, it returns a.
func (a identity) after(then identity) identity {
	_, now := splitDevice(a.Model)
	if !sameModel(then.settings()["model"], a.settings()["model"]) {
		return a
	}
	a.Model, a.Devices = then.Model, then.Devices
	if was := then.devices(); was[len(was)-1] != now {
		a.Devices = append(slices.Clone(was), now)
	}
	return a
}

func (a identity) settings() durable.Settings {
	s := durable.Settings{"stage version": strconv.Itoa(a.Version), "seed": strconv.FormatInt(a.Seed, 10),
		"device": strings.Join(a.devices(), ", then ")}
	model, _ := splitDevice(a.Model)
	for name, digest := range map[string]string{"model": model, "chat template": a.Chat,
		"content of the dataset": a.Data, "content of the validation set": a.Val} {
		if digest != "" {
			s[name] = digest
		}
	}
	for name, digest := range a.Adapter {
		s["adapter's "+name] = digest
	}
	for i, digest := range a.More {
		s[fmt.Sprintf("content of dataset %d", i+2)] = digest
	}
	if len(a.Weights) > 0 {
		s["weights of datasets"] = strings.Join(a.Weights, ", ")
	}
	s.Add(a.Options)
	for _, name := range running { // earlier versions recorded save_steps
		delete(s, "option "+name)
	}
	return s
}
