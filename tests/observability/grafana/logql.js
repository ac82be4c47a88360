// Expressions of LogQL on stdin, a JSON list; on stdout a list of what Grafana's own grammar cannot read in each: texts, none where it can.
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-logql";

const unread = (text) => {
  const found = [];
  parser.parse(text).iterate({
    enter: (node) => {
      if (node.type.isError) found.push(text.slice(Math.max(0, node.from - 10), node.to + 10));
    },
  });
  return found;
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(unread)));
