// What the JSON of a dashboard has to be, by Grafana's own types. Enumerations are values there, and plain text in JSON.
import type { Dashboard, GraphFieldConfig } from "@grafana/schema";
import type { Options as Bars } from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type { Options as Lines } from "@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen";
import type { Options as Number_ } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { Options as States } from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type { Options as Table } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { Options as Graph } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Panel<Kind extends string, Options, Custom> = {
  type: Kind;
  options: Partial<Plain<Options>>;
  fieldConfig?: { defaults: { custom?: Plain<Custom> } };
};
export type Board = Plain<Dashboard>;
export type Panels = Array<
  | Panel<"bargauge", Bars, never>
  | Panel<"logs", Lines, never>
  | Panel<"stat", Number_, never>
  | Panel<"state-timeline", States, never>
  | Panel<"table", Table, never>
  | Panel<"timeseries", Graph, GraphFieldConfig>
>;
