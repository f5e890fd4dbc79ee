import { createMachine } from "npm:xstate";

export default createMachine({
  id: "four",
  predictableActionArguments: true,
  initial: "a",
  context: { public: { hello: "world" }, secret: 1 },
  states: { a: { on: { go: "b" }, tags: ["first"] }, b: { type: "final" } },
});
export const allowRead = () => true;
export const allowWrite = () => true;
