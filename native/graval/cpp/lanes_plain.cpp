#define GRAVAL_LANES kPlain
#define GRAVAL_LANES_NAME "plain"
#include "lanes.inc"
