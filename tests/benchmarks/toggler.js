import { assign, createMachine } from "npm:xstate@5";

export default createMachine({
  id: "toggler",
  initial: "off",
  context: { public: { count: 0 }, owner: "bench" },
  states: {
    off: {
      on: {
        toggle: {
          target: "on",
          actions: assign({
            public: ({ context }) => ({ count: context.public.count + 1 }),
          }),
        },
      },
    },
    on: { on: { toggle: "off" } },
  },
});

export const allowRead = ({ authContext }) => authContext.sub === "bench";
export const allowWrite = ({ authContext }) => authContext.sub === "bench";
