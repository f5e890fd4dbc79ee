// A timer whose guard throws.
import { setup } from "npm:xstate@5";

export default setup({
  guards: {
    broken: () => {
      throw new Error("never");
    },
  },
}).createMachine({
  id: "failing",
  context: { public: {} },
  initial: "waiting",
  states: {
    waiting: { after: { 1000: { guard: "broken", target: "done" } } },
    done: {},
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
