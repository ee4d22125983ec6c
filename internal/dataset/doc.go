// Package dataset reads and writes dataset directories, which is how the stages
// exchange rows.
//
// A dataset directory holds Parquet files with rows of one type (Passage,
// Instruction or Conversation), the rejected rows in rejected/, each with its
// reason, and manifest.json. The manifest states the stage, its options, the
// digests of its inputs, the counts, and the digest of every file. Nothing in a
// directory depends on the time, the machine or the path. Files of rows by
// themselves (.parquet, .jsonl, .jsonl.gz, .jsonl.zst) can be read too.
package dataset
