#define GRAVAL_LANES kAvx2
#define GRAVAL_LANES_NAME "avx2"
#include "lanes.inc"
