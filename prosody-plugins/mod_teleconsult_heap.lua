-- Collect garbage seldom while the heap is small, and eagerly once it is large. Prosody's `gc` is one setting for both: with
-- one that spares a third of a join's work while a hundred people are in, thousands would hold half as much memory again.
-- And let go of what a connection does not need.
-- Load on: the whole server (the modules_enabled at the top). A deployment that sets `gc` by itself does not need it.
-- Option: teleconsult_heap_mb (MB up to which Lua's heap may grow at leisure, default 48).

module:set_global();

local EVERY = 1; -- seconds
-- How large the heap is when a collection begins, in percent of what the last one left. 105 is Prosody's own.
local EAGER, SELDOM = 105, 200;

local limit_kb = module:get_option_number("teleconsult_heap_mb", 48) * 1024;

local function adapt()
	local percent = math.floor(100 * limit_kb / collectgarbage("count"));
	collectgarbage("setpause", math.max(EAGER, math.min(SELDOM, percent)));
	return EVERY;
end

module:add_timer(EVERY, adapt);

-- mod_websocket keeps the request that opened a connection for as long as that lasts, the token in its address twice over; only
-- that there was one is ever looked at again (mod_admin_shell). After all who read it.
module:hook("websocket-session", function (event) event.session.websocket_request = true; end, -1000);
