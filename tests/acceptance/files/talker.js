import { createMachine } from "npm:xstate";
export const allowRead = ({ authContext }) => authContext.sub === "u_12";
export const allowWrite = ({ authContext }) => authContext.sub === "u_12";
export default createMachine({
  id: "talker",
  initial: "idle",
  states: {
    idle: { on: { say: { target: "said", actions: () => console.log("hello\nworld") } } },
    said: { entry: () => console.log("said it"), on: { again: "idle" } },
  },
});
