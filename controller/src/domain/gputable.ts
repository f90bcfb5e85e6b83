// The validator's GPU table as of reference/protocol.md 7.2, in the order in which the name patterns are tried. The live list is
// `GET /nodes/supported`; this copy serves tests, the demo and a first guess before any validator answered.

export interface GpuModel {
  ref: string;
  /** Searched in the device name, case-sensitive. */
  name: RegExp;
  /** GB of VRAM as the validator counts them. */
  vramGb: number;
  processors: number;
  /** MHz. */
  clockBase: number;
  clockBoost: number;
  /** USD per hour that the validator pays for; its compute multiplier is this / 4.5. */
  hourlyRate: number;
  graval: { iterations: number; estimateSeconds: number };
}

type Row = [string, RegExp, number, number, number, number, number, number, number];

const rows: Row[] = [
  ['3090', /RTX 3090/, 24, 82, 1395, 1695, 0.25, 1, 70],
  ['4090', /RTX 4090/, 24, 128, 2235, 2520, 0.4, 2, 65],
  ['5090', /RTX 5090/, 32, 170, 2017, 2407, 0.7, 2, 60],
  ['a4000', /RTX A4000(?! Ada)/, 16, 48, 765, 1560, 0.2, 1, 75],
  ['a4000_ada', /RTX 4000 Ada/, 20, 48, 765, 2175, 0.21, 1, 80],
  ['a5000', /RTX A5000/, 24, 64, 1170, 1695, 0.25, 1, 92],
  ['a6000', /RTX A6000(?! Ada)/, 48, 84, 1455, 1860, 0.5, 1, 140],
  ['a6000_ada', /RTX 6000 Ada/, 48, 142, 915, 2505, 0.75, 1, 60],
  ['pro_6000', /RTX PRO 6000/, 96, 188, 1590, 2617, 1.8, 1, 103],
  ['l4', /L4(?!0)/, 24, 58, 795, 2040, 0.25, 1, 85],
  ['a10', /A10(?!0)(?!G)/, 24, 72, 1110, 1710, 0.25, 1, 82],
  ['a40', /A40/, 48, 84, 1305, 1740, 0.5, 1, 142],
  ['l40', /L40(?!S)/, 48, 142, 735, 2490, 0.55, 1, 60],
  ['l40s', /L40S/, 48, 142, 1065, 2520, 0.85, 1, 60],
  ['a100_40gb', /A100.?PCIE.?40GB/, 40, 108, 1065, 1410, 1.1, 4, 60],
  ['a100_40gb_sxm', /A100.?SXM.?.?40GB/, 40, 108, 1065, 1410, 1.15, 4, 60],
  ['a100', /A100.?80GB.?PCIe/, 80, 108, 1065, 1410, 1.2, 2, 58],
  ['a100_sxm', /A100.?SXM.?.?80GB/, 80, 108, 1275, 1410, 1.25, 3, 70],
  ['h100', /H100.*PCIe/, 80, 114, 1095, 1755, 1.79, 2, 62],
  ['h100_nvl', /H100.*NVL/, 96, 132, 1590, 1980, 2.25, 3, 75],
  ['h100_sxm', /H100.*HBM3/, 80, 132, 1590, 1980, 2.35, 5, 70],
  ['h800', /H800.*PCIe/, 80, 114, 1095, 1755, 1.5, 3, 75],
  ['h20', / H20$/, 96, 78, 1590, 1980, 0.6, 1, 300],
  ['h200', / H200/, 140, 132, 1590, 1980, 2.75, 3, 70],
  ['mi300x', /gfx942:sramecc/, 192, 304, 1600, 2100, 3.0, 2, 75],
  ['b200', / B200/, 192, 148, 1590, 1965, 4.5, 2, 75],
];

export const gpuTable: readonly GpuModel[] = rows.map(
  ([ref, name, vramGb, processors, clockBase, clockBoost, hourlyRate, iterations, estimateSeconds]) => ({
    ref,
    name,
    vramGb,
    processors,
    clockBase,
    clockBoost,
    hourlyRate,
    graval: { iterations, estimateSeconds },
  }),
);

/** The model whose pattern is the first to match the device name. */
export function modelOfDevice(deviceName: string): GpuModel | undefined {
  return gpuTable.find((model) => model.name.test(deviceName));
}
