// Say of each query, a JSON list of [language, text] on stdin, whether its tool's grammar takes it.
//   npm install --no-package-lock --prefix tests/telemetry/queries
import { readFileSync } from "node:fs";
import { parser as logql } from "@grafana/lezer-logql";
import { parser as traceql } from "@grafana/lezer-traceql";

const parsers = { logql, traceql };

function takes(parser, text) {
  let good = true;
  parser.parse(text).iterate({
    enter(node) {
      good = good && !node.type.isError;
    },
  });
  return good;
}

const queries = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(queries.map(([language, text]) => takes(parsers[language], text))));
