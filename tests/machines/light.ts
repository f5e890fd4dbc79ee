// A light for the tests: XState 5, an authorizer by `sid`, a timer that turns it off.
import { assign, setup } from "npm:xstate@5";

const machine = setup({
  types: {} as { context: { public: { count: number }; secret: string } },
  guards: {
    allowed: ({ event }) => event.allowed === true,
    broken: () => {
      throw new TypeError("no limit here");
    },
  },
  actions: {
    count: assign({
      public: ({ context }) => ({ count: context.public.count + 1 }),
    }),
    grow: assign({ secret: () => "x".repeat(400_001) }),
    spoil: assign(({ context }) => {
      context.public.count = 999;
      throw new Error("spoilt");
    }),
    say: ({ event }) => console.log("said", event.type),
    shout: () => {
      throw new Error("an action threw");
    },
    forget: () => {
      Promise.reject(new Error("nobody waits"));
    },
  },
}).createMachine({
  id: "light",
  initial: "off",
  context: { public: { count: 0 }, secret: "s" },
  on: {
    guarded: { guard: "broken", target: ".off" },
    ask: { guard: "allowed", target: ".on" },
    grow: { actions: "grow" },
    spoil: { actions: "spoil" },
    say: { actions: "say" },
    shout: { actions: "shout" },
    forget: { actions: "forget" },
    loop: {
      guard: () => {
        for (;;);
      },
      target: ".off",
    },
    end: ".gone",
    unknown: { guard: { type: "nowhere" } as never, target: ".off" },
  },
  states: {
    off: { on: { toggle: { target: "on", actions: "count" } } },
    on: {
      tags: ["lit"],
      after: { 3000: "off" },
      on: { toggle: "off" },
    },
    gone: { type: "final" },
  },
});

export default machine;
export const allowRead = ({ machineInstanceName, authContext }: any) =>
  authContext.sid === machineInstanceName;
export const allowWrite = ({ authContext, event, type }: any) => {
  if (authContext.mood === "throws") throw new Error("not today");
  if (authContext.mood === "promise") return Promise.resolve(true);
  if (authContext.mood === "truthy") return 1;
  return authContext.sid !== "nobody" && (type === "initialization" || event.type !== "forbidden");
};
