// A machine that sends itself what it was told to, one step at a time.
import { assign, sendTo, setup } from "npm:xstate@5";

export default setup({
  types: {} as { context: { public: { n: number } } },
  actions: {
    count: assign({ public: ({ context }) => ({ n: context.public.n + 1 }) }),
    again: sendTo(({ self }) => self, ({ event }) => ({ ...event, left: event.left - 1 })),
    say: ({ event }) => console.log(event.type, event.n ?? ""),
  },
  guards: { more: ({ event }) => event.left > 0 },
}).createMachine({
  id: "echo",
  context: { public: { n: 0 } },
  entry: "say",
  on: {
    repeat: [{ guard: "more", actions: ["count", "again"] }, {}],
    count: { actions: "count" },
    say: { actions: ["count", "say"] },
    speak: [{ guard: "more", actions: ["say", "again"] }, {}],
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
