// Package pipeline is what the stages stand on: the rows they exchange, the
// dataset directories these lie in, and runs that can be killed at any moment
// and be continued by the same command.
//
// A run towards the directory OUT works in OUT.partial:
//
//	lock            held while a process works here
//	identity.json   stage, version, options, input digests, seed; written first
//	journal.jsonl   the stage's own finished work, by key
//	rows-0.jsonl    the results of its first Map, by record, in order of completion
//	final/          the dataset directory in the making, rebuilt by every Finish
//	old/            the directory that is being replaced (--restart)
//
// Results are journaled as they come and put into input order at the end, so
// that neither the number of workers nor an interruption shows in the output.
// One rename turns final into OUT. Work is that protocol without the rows, for
// directories that are no datasets.
package pipeline
