// Everything here is comfort: pages read and act without it.
import { startTimes } from "./time.js";
import { startLive } from "./live.js";
import { startLog } from "./log.js";
import { startPalette } from "./palette.js";
import { startKeys } from "./keys.js";
import { startQuestions } from "./questions.js";
import { startFilter } from "./filter.js";

for (const element of document.querySelectorAll("[data-script-only], [data-palette]")) element.hidden = false;
const log = startLog();
startTimes();
startLive(log);
startKeys(startPalette());
startQuestions();
startFilter();
