// A kettle: timers by `after`, delayed and undelayed sends to itself, cancel.
import { actions, assign, createMachine, send } from "npm:xstate@4";
export { interpret as run } from "npm:xstate@4";

const { cancel, log, raise } = actions;

const say = (what) => (context, event) => console.log(what, event.type, context.boiled);

export default createMachine({
  predictableActionArguments: true,
  id: "kettle",
  context: { boiled: 0, steam: 0, public: {} },
  initial: "cold",
  on: { drip: { actions: "drip" } },
  states: {
    cold: { on: { heat: "heating" } },
    heating: {
      tags: ["warm"],
      // Heated anew, it has two whistles to come: both are blown, and cancel takes the newer one.
      entry: ["click", raise("whistle", { delay: 20_000, id: "whistle" })],
      exit: "clack",
      after: { 31_000: { target: "hot", actions: "count" } },
      on: {
        whistle: { actions: ["whistle", send("drip")] },
        hush: { actions: cancel("whistle") },
        heat: { target: "heating" },
        off: "cold",
      },
    },
    hot: {
      tags: ["warm", "ready"],
      entry: [send("puff"), "ready"],
      after: { patience: "cold", 5_000: { actions: "hiss" } },
      on: { puff: { actions: ["puff", log("steam!")] }, pour: "poured" },
    },
    poured: {
      entry: "pour",
      // Even a timer of no time is a step of its own.
      after: { 0: { target: "cold", actions: "settle" } },
    },
  },
}, {
  delays: { patience: (context) => context.boiled * 12_000 },
  actions: {
    count: assign({ boiled: (context) => context.boiled + 1 }),
    puff: assign({ steam: (context) => context.steam + 1 }),
    click: say("click"),
    clack: say("clack"),
    whistle: say("whistle"),
    drip: say("drip"),
    ready: say("ready"),
    hiss: say("hiss"),
    pour: say("pour"),
    settle: say("settle"),
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
