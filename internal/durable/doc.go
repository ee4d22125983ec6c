// Package durable runs stages so that they can be killed at any moment and resumed by
// the same command.
//
// A run towards the directory OUT works in OUT.partial:
//
//	lock            held while a process works here
//	identity.json   stage, version, options, input digests, seed; written first
//	journal.jsonl   the stage's own finished work, by key
//	rows-0.jsonl    the results of its first Map, by record, in order of completion
//	final/          the dataset directory under construction, rebuilt by every Finish
//	old/            the directory that is being replaced (--restart)
//
// Results are journaled in order of completion and written in input order at the end.
// Neither the number of workers nor an interruption changes the output. One rename
// turns final into OUT. Work is the same protocol without rows, for directories that
// are not datasets, such as an adapter or a merged model.
package durable
