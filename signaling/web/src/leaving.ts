// How a conversation ends. Each side says goodbye once, and this side may leave or hear the other side's goodbye at any time:
//
//	open ──leave──▶ leaving ──said──▶ said ──heard──▶ closing
//	  └────heard───────┴──heard──▶ answering ──said──▶ answered
//
// moved: the connection moved to another pipe, and the other side may not have read the goodbye: said ──▶ leaving, answered ──▶ answering.
// closing: this side said goodbye first, and hangs up when the other side has all messages. answered: the other side hangs up.

import { sleep } from "./failure.ts";

export const lastFrames = 200; // ms for frames on their way when this side hangs up
const goodbyeLimit = 2000; // ms that a goodbye waits for the other side's goodbye

export type Leaving = "open" | "leaving" | "said" | "answering" | "closing" | "answered";
export type Step = "leave" | "said" | "heard" | "moved";

const steps: Record<Leaving, Partial<Record<Step, Leaving>>> = {
  open: { leave: "leaving", heard: "answering" },
  leaving: { said: "said", heard: "answering" },
  said: { heard: "closing", moved: "leaving" },
  answering: { said: "answered" },
  closing: {},
  answered: { moved: "answering" },
};

/** Returns the state after a step; undefined if the step is not legal. */
export const after = (from: Leaving, step: Step): Leaving | undefined => steps[from][step];

/** Whether this side has said goodbye. */
export const hasSaid = (s: Leaving): boolean => s === "said" || s === "closing" || s === "answered";

/** Whether this side has heard the other side's goodbye. */
export const hasHeard = (s: Leaving): boolean => s === "answering" || s === "closing" || s === "answered";

/** Resolves when a goodbye has waited long enough since parting was aborted, or the pipe is over. */
export async function goodbyeLate(parting: AbortSignal, over: AbortSignal): Promise<void> {
  if (!parting.aborted) await new Promise((resolve) => parting.addEventListener("abort", resolve, { once: true }));
  await sleep(goodbyeLimit, over).catch(() => {});
}
