// The official client, with whatever server follows: what it gets, as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from
	"@modelcontextprotocol/sdk/client/stdio.js";

const [calls, command, ...args] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" },
	{ capabilities: {} });
await client.connect(new StdioClientTransport({ command, args,
	stderr: "ignore" }));
const said = { server: client.getServerVersion(), results: [] };
said.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
for (const [name, args] of JSON.parse(calls))
	try {
		said.results.push(await client.callTool({ name, arguments: args }));
	} catch (error) {
		said.results.push({ thrown: String(error) });
	}
if (client.getServerCapabilities().resources)
	said.resources = (await client.listResources()).resources.length;
if (client.getServerCapabilities().prompts)
	said.prompts = (await client.listPrompts()).prompts.length;
await client.close();
console.log(JSON.stringify(said));
