-- A stand-in for Jitsi's mod_muc_meeting_id, for the local stack only: gives each room the id that clients name in addresses of
-- files. A deployment has the real one. See docs/stand-ins.md.
-- Load on: the MUC component.   Events: muc-room-created, muc-disco#info.

local uuid = require "util.uuid";

module:hook("muc-room-created", function (event)
	event.room._data.meetingId = uuid.generate();
end);

module:hook("muc-disco#info", function (event)
	table.insert(event.form, {
		name = "muc#roominfo_meetingId"; type = "text-single"; label = "The meeting's own id";
		value = event.room._data.meetingId or "";
	});
end);
