import './elements/call-room.ts';
