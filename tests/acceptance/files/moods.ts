// A machine whose code fails in every way that a machine can.
import { assign, fromPromise, setup } from "xstate";

export default setup({
  guards: {
    hasBudget: ({ context }) => (context as any).budget.limit > 0,
    endless: () => {
      for (;;);
    },
  },
  actions: {
    total: assign(() => {
      throw new RangeError("the sum is too large");
    }),
    notify: () => {
      throw new Error("the bell is broken");
    },
    forget: () => {
      Promise.reject(new Error("nobody waits for this"));
    },
    greet: ({ event }) => console.log("hello", event),
  },
}).createMachine({
  id: "moods",
  context: { public: {} },
  initial: "calm",
  states: {
    calm: {
      on: {
        approve: { guard: "hasBudget", target: "done" },
        sum: { actions: "total" },
        loop: { guard: "endless", target: "done" },
        ring: { target: "done", actions: "notify" },
        forget: { target: "done", actions: "forget" },
        greet: { actions: "greet" },
        spawn: { actions: assign(({ spawn }) => ({ child: spawn(fromPromise(async () => 1)) })) },
      },
    },
    done: { type: "final" },
  },
});

export const allowRead = () => true;
export const allowWrite = ({ authContext }: any) => {
  if (authContext.mood === "no") return false;
  if (authContext.mood === "throws") throw new TypeError("I cannot think");
  if (authContext.mood === "promise") return Promise.resolve(true);
  if (authContext.mood === "truthy") return "yes";
  return true;
};
