import { createMachine, fromPromise } from "xstate";

export default createMachine({
  id: "checkout",
  initial: "payment",
  states: {
    payment: { invoke: { id: "pay", src: fromPromise(async () => 1), onDone: "done" } },
    done: {},
  },
});
export const allowRead = () => true;
export const allowWrite = () => true;
