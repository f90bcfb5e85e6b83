#define GRAVAL_LANES kAvx512
#define GRAVAL_LANES_NAME "avx512"
#include "lanes.inc"
