// The official openai package for Node, driven by one word; prints one JSON object of what it met.
import OpenAI from "openai";

const [word, baseURL, said, model = "gpt-4o"] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "sk-node" });
const asked = { model, messages: [{ role: "user", content: said }] };

async function plain() {
  const { data, response } = await client.chat.completions.create(asked).withResponse();
  return {
    text: data.choices[0].message.content,
    requestId: data._request_id,
    cache: response.headers.get("x-dac-cache"),
  };
}

async function stream() {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
    chunks.push(chunk);
  }
  const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");
  return { text, finish: chunks.at(-1).choices[0].finish_reason };
}

async function responses() {
  let text = "";
  for await (const event of await client.responses.create({ model, input: said, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  return { text };
}

async function abort() {
  const answer = await client.chat.completions.create({ ...asked, stream: true });
  let seen = 0;
  for await (const _ of answer) {
    seen += 1;
    if (seen === 2) answer.controller.abort();
  }
  return { seen };
}

async function error() {
  let seen = 0;
  try {
    for await (const _ of await client.chat.completions.create({ ...asked, stream: true })) seen += 1;
  } catch (problem) {
    const { status, code } = problem;
    return { kind: problem.constructor.name, status, code, seen };
  }
  return { kind: "none", seen };
}

console.log(JSON.stringify(await { plain, stream, responses, abort, error }[word]()));
