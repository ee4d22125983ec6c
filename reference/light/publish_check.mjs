// Uploads a directory with npm's @huggingface/hub; run by publish_check.py.
//
//     node publish_check.mjs ENDPOINT TOKEN DIRECTORY
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commit, createBranch, createRepo } from "@huggingface/hub";

const [hubUrl, accessToken, directory] = process.argv.slice(2);
const repo = { type: "model", name: "org/javascript" };
const operations = readdirSync(directory).map((path) => ({
	operation: "addOrUpdate", path, content: new Blob([readFileSync(join(directory, path))]),
}));

await createRepo({ repo, accessToken, hubUrl, private: true });
await createBranch({ repo, accessToken, hubUrl, branch: "v1" });
// By default it offers the Xet protocol, and takes what the server chooses.
await commit({ repo, accessToken, hubUrl, title: "x", operations });
await commit({ repo, accessToken, hubUrl, title: "x", operations, branch: "v1", useXet: false });
