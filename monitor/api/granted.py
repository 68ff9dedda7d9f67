"""The principal of a request, by the permission its route needs: one name each, for the routes' signatures."""

from typing import Annotated

from fastapi import Depends

from monitor.api.auth import Principal, may

LoggedIn = Annotated[Principal, Depends(may("session"))]
Documented = Annotated[Principal, Depends(may("openapi"))]
LooksUp = Annotated[Principal, Depends(may("lookup"))]
ReadsLines = Annotated[Principal, Depends(may("lines"))]
Probes = Annotated[Principal, Depends(may("probe"))]
ReadsIncidents = Annotated[Principal, Depends(may("incidents"))]
ActsOnIncidents = Annotated[Principal, Depends(may("incidents.act"))]
ReadsMaintenance = Annotated[Principal, Depends(may("maintenance"))]
PlansMaintenance = Annotated[Principal, Depends(may("maintenance.act"))]
ReadsSilences = Annotated[Principal, Depends(may("silences"))]
ActsOnSilences = Annotated[Principal, Depends(may("silences.act"))]
LogsCalls = Annotated[Principal, Depends(may("calls"))]
ExportsCalls = Annotated[Principal, Depends(may("calls.export"))]
SendsEvents = Annotated[Principal, Depends(may("events"))]
SendsRounds = Annotated[Principal, Depends(may("rounds"))]
ReadsFlags = Annotated[Principal, Depends(may("flags"))]
ReadsRanking = Annotated[Principal, Depends(may("ranking"))]
ReadsAudit = Annotated[Principal, Depends(may("audit"))]
ManagesKeys = Annotated[Principal, Depends(may("keys"))]
ManagesUsers = Annotated[Principal, Depends(may("users"))]
ReadsHealth = Annotated[Principal, Depends(may("health"))]
