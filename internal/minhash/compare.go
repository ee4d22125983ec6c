package minhash

// representatives is the largest number of members with which a member of a group is
// compared.
const representatives = 16

// Compare compares the members of a group, each with the first members that are not near
// to an earlier one, and at most sixteen of them. near returns true for two members that
// are near. A group may have members that only share a common phrase. The bound keeps
// large groups of that kind from taking quadratic time.
func Compare(group []int, near func(a, b int) (bool, error)) error {
	kept := make([]int, 0, representatives) // positions in the group
	for i := range group {
		alone := true
		for _, k := range kept {
			same, err := near(k, i)
			if err != nil {
				return err
			}
			if same {
				alone = false
				break
			}
		}
		if alone && len(kept) < representatives {
			kept = append(kept, i)
		}
	}
	return nil
}
