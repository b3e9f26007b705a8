// Loaded into each test process. Programs that tests start would write their coverage too, and one that is killed while it does
// leaves an empty file, with which Node gives no report at all.
if (process.env.NODE_TEST_CONTEXT !== undefined) delete process.env.NODE_V8_COVERAGE;
