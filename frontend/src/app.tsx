import { useEffect } from "preact/hooks";
import { getJson, type Cohort } from "./api";
import { CohortPage } from "./cohort/page";
import { SlidePage } from "./slidePage";
import * as state from "./state";

export function App() {
  useEffect(() => {
    getJson<Cohort>("api/cohort").then(begin, (error: Error) => (state.problem.value = error.message));
  }, []);
  const { cohort, page, slideName, problem } = state;
  return (
    <>
      {cohort.value && (page.value === "slide" ? <SlidePage key={slideName.value} name={slideName.value} /> : <CohortPage />)}
      {problem.value && (
        <div class="problem" role="alert">
          <span>{problem.value}</span>
          <button class="plain" onClick={() => (problem.value = "")} aria-label="Dismiss">
            ✕
          </button>
        </div>
      )}
    </>
  );
}

function begin(cohort: Cohort): void {
  state.cohort.value = cohort;
  const only = cohort.slides[0];
  if (cohort.single && state.page.value === "cohort" && only.state === "done") state.openSlide(only.name);
}
