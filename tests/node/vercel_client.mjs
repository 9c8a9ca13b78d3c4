// Vercel's ai package on its OpenAI-compatible provider; prints one JSON object of what it met.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";

const [baseURL, prompt, model = "gpt-4o"] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "penstock", baseURL, apiKey: "sk-node", includeUsage: true });
const told = { text: "", errors: [], finish: null, outputTokens: null };
const { fullStream } = streamText({ model: provider(model), prompt, maxRetries: 0, onError: () => {} });
for await (const part of fullStream) {
  if (part.type === "text-delta") told.text += part.text;
  if (part.type === "error") told.errors.push(String(part.error?.message ?? part.error));
  if (part.type === "finish") {
    told.finish = part.finishReason;
    told.outputTokens = part.totalUsage?.outputTokens ?? null;
  }
}
console.log(JSON.stringify(told));
